// The Models view: the list, one model, its export, or preparing its fine-tuning. A folder or file dropped on any of them
// opens.
import "../../ui/forms.css";
import "./models.css";
import { type DragEvent, useEffect, useState } from "react";
import type { Route } from "../../app/router.ts";
import { messageOf } from "../../lib/client.ts";
import { Button } from "../../ui/button.tsx";
import { ExportPage } from "./export-page.tsx";
import { LoraPage } from "./lora-page.tsx";
import { ModelList } from "./model-list.tsx";
import { ModelPage } from "./model-page.tsx";
import { openDropped } from "./open-model.ts";
import { loadModels, openModel } from "./store.ts";

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer.types.includes("Files");
}

export function ModelsMain({ route }: { readonly route: Route }) {
  const [source, part] = route.rest;
  const [isOver, setOver] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => void loadModels(), []);
  useEffect(() => {
    if (source !== undefined) {
      void openModel(source);
    }
  }, [source]);
  const onDrop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    setProblem(null);
    openDropped([...event.dataTransfer.files]).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <section
      className={isOver ? "models-view is-over" : "models-view"}
      aria-label="Models"
      onDragOver={(event) => {
        if (hasFiles(event)) {
          event.preventDefault();
          event.dataTransfer.dropEffect = "copy";
          setOver(true);
        }
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) {
          setOver(false);
        }
      }}
      onDrop={onDrop}
    >
      {problem === null ? null : (
        <div className="banner banner-bad" role="alert">
          <p>{problem}</p>
          <Button onClick={() => setProblem(null)}>Close</Button>
        </div>
      )}
      {source === undefined ? (
        <ModelList />
      ) : part === "export" ? (
        <ExportPage />
      ) : part === "fine-tune" ? (
        <LoraPage />
      ) : (
        <ModelPage source={source} />
      )}
    </section>
  );
}
