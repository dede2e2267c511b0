// The right-hand panel of a model: its architecture in full, where it came from and where it lies.
import { useState } from "react";
import { routeHash } from "../../app/router.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatCount, formatTime } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Facts, Section } from "../../ui/facts.tsx";
import { kindLabel } from "../tokenizers/tokenizer-label.ts";
import { dtypesText, modelLabel, originText } from "./model-words.ts";
import { useModels } from "./store.ts";

export function ModelDetails() {
  const model = useModels((state) => state.description.value);
  const info = useModels((state) => state.list?.find((each) => each.source === state.open) ?? null);
  const open = useModels((state) => state.open);
  if (model === null) {
    return open === null ? null : <Place source={open} isOurs={false} />;
  }
  const { shape } = model;
  return (
    <>
      <Section title="Architecture">
        <Facts
          rows={[
            ["class", model.architecture],
            ["layers × heads", `${shape.layers} × ${shape.heads}`],
            ["width", formatCount(shape.width)],
            ["feed-forward", formatCount(shape.inner)],
            ["activation", shape.activation],
            ["vocabulary", formatCount(shape.vocabulary)],
            ["context", formatCount(shape.context)],
            ...(shape.tokenTypes === 0 ? [] : [["token types", String(shape.tokenTypes)] as const]),
            ...(shape.labels <= 1 ? [] : [["labels", String(shape.labels)] as const]),
            ["stored as", dtypesText(model.tensors)],
          ]}
        />
        <p className="details-note model-how">{model.parameters.how}</p>
      </Section>
      <Section title="Tokenizer">
        {model.tokenizer === null ? (
          <p className="details-note">None beside the weights.</p>
        ) : (
          <Facts
            rows={[
              ["kind", kindLabel(model.tokenizer.kind)],
              ["pieces", formatCount(model.tokenizer.vocabSize)],
            ]}
          />
        )}
      </Section>
      {model.adapter === null ? null : (
        <Section title="Adapter">
          <Facts
            rows={[
              ["LoRA rank", String(model.adapter.rank)],
              ["on", model.adapter.targets.join(", ")],
              ["over", model.adapter.base],
            ]}
          />
        </Section>
      )}
      <Section title="Where from">
        {info?.run !== null && info?.run !== undefined ? (
          <p>
            <a href={routeHash("runs", info.run)}>{modelLabel(info)}</a>
          </p>
        ) : info === null ? null : (
          <p className="details-note">{originText(info)}</p>
        )}
        {model.provenance.length === 0 || model.adapter !== null ? null : (
          <Facts rows={provenanceRows(model.provenance, info?.run ?? null)} />
        )}
      </Section>
      <Place source={model.source} isOurs={info !== null && info.origin !== "opened"} />
    </>
  );
}

const isoTime = /^\d{4}-\d\d-\d\dT/u;

/** A run's checkpoint is named by its link already. */
function provenanceRows(
  provenance: readonly { readonly label: string; readonly value: string }[],
  run: string | null,
): readonly (readonly [string, string])[] {
  return provenance
    .filter(({ label }) => run === null || (label !== "Run" && label !== "Step"))
    .map(({ label, value }) => [label.toLowerCase(), isoTime.test(value) ? formatTime(value) : value] as const);
}

/** A folder outside the workspace is named, and not opened from here. */
function Place({ source, isOurs }: { readonly source: string; readonly isOurs: boolean }) {
  const [problem, setProblem] = useState<string | null>(null);
  const reveal = (): void => {
    setProblem(null);
    client.request("app.reveal", { path: source }).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <Section title="Where it lies">
      <p className="path mono">{source}</p>
      <div className="button-row">
        <CopyButton className="small" text={() => source}>
          Copy path
        </CopyButton>
        {isOurs ? (
          <Button className="small" onClick={reveal}>
            Open folder
          </Button>
        ) : null}
      </div>
      {problem === null ? null : <p className="bad">{problem}</p>}
    </Section>
  );
}
