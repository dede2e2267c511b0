// Top right of Models: opening one; of a model: trying it, exporting it, fine-tuning it; on their pages, doing so. Ctrl or
// Cmd with Enter does the accent one.
import { useEffect } from "react";
import { go, type Route, routeHash } from "../../app/router.ts";
import { modifierKey } from "../../lib/keys.ts";
import { Button } from "../../ui/button.tsx";
import { parseExport } from "./export-form.ts";
import { useExportsFolder } from "./export-page.tsx";
import { canFineTune, loraProblem } from "./lora-recipe.ts";
import { useLora, writeLoraRecipe } from "./lora-store.ts";
import { chooseModelFile, chooseModelFolder } from "./open-model.ts";
import { startExport, useModels } from "./store.ts";

function usePrimaryKey(canStart: boolean, start: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && canStart) {
        event.preventDefault();
        start();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [canStart, start]);
}

export function ModelActions({ route }: { readonly route: Route }) {
  const [source, part] = route.rest;
  const model = useModels((state) => (state.open === source ? state.description.value : null));
  if (source === undefined) {
    return (
      <>
        <Button onClick={() => void chooseModelFile()}>Open file…</Button>
        <Button variant="primary" onClick={() => void chooseModelFolder()}>
          Open model folder…
        </Button>
      </>
    );
  }
  if (model === null) {
    return null;
  }
  if (part === "export") {
    return <ExportAction model={source} />;
  }
  if (part === "fine-tune") {
    return <LoraAction />;
  }
  const canTrain = canFineTune(model);
  return (
    <>
      {model.head === "causal-lm" ? (
        <a className="button" href={routeHash("playground", source)}>
          Try it
        </a>
      ) : null}
      <Button variant={canTrain ? "plain" : "primary"} onClick={() => go("models", source, "export")}>
        Export…
      </Button>
      {canTrain ? (
        <Button variant="primary" onClick={() => go("models", source, "fine-tune")}>
          Fine-tune (LoRA)…
        </Button>
      ) : null}
    </>
  );
}

function ExportAction({ model }: { readonly model: string }) {
  const form = useModels((state) => state.exportForm);
  const isRunning = useModels((state) => state.exporting.state === "running");
  const exportsFolder = useExportsFolder();
  const parsed = parseExport(form, exportsFolder);
  const reason = "problem" in parsed ? parsed.problem : null;
  const canStart = reason === null && !isRunning;
  const start = (): void => {
    if ("input" in parsed) {
      void startExport({ model, ...parsed.input });
    }
  };
  usePrimaryKey(canStart, start);
  return (
    <>
      <span id="export-note" className="actions-note">
        {isRunning ? "exporting…" : reason}
      </span>
      <Button onClick={() => go("models", model)}>Back to the model</Button>
      <Button variant="primary" disabled={!canStart} aria-describedby="export-note" onClick={start}>
        Export model <kbd>{modifierKey}⏎</kbd>
      </Button>
    </>
  );
}

function LoraAction() {
  const model = useModels((state) => state.description.value);
  const form = useLora((state) => state.form);
  const taken = useLora((state) => state.taken);
  const isWriting = useLora((state) => state.isWriting);
  const reason = model === null ? null : loraProblem(form, taken, model.shape.width);
  const canStart = model !== null && reason === null && !isWriting;
  const start = (): void => {
    if (model !== null) {
      void writeLoraRecipe(model).then((file) => (file === null ? undefined : go("recipes", file)));
    }
  };
  usePrimaryKey(canStart, start);
  return (
    <>
      <span id="lora-note" className="actions-note">
        {reason}
      </span>
      <Button variant="primary" disabled={!canStart} aria-describedby="lora-note" onClick={start}>
        Write recipe <kbd>{modifierKey}⏎</kbd>
      </Button>
    </>
  );
}
