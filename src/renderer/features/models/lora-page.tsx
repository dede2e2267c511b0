// Preparing a LoRA fine-tuning of a model: on which texts, how large the adapters are and how the base is kept. What
// comes of it is a recipe, which opens in the editor with its forecast; nothing is trained from here.
import { useEffect } from "react";
import { client } from "../../lib/client.ts";
import { formatBytes, formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { beginLora, changeLora, changeLoraBase, useLora } from "./lora-store.ts";
import { changeMemory, useModels, useModelTitle } from "./store.ts";

const textExtensions = ["txt", "jsonl", "gz"];

const bases = [
  { value: "fp32", label: "fp32" },
  { value: "bf16", label: "bf16" },
] as const;

export function LoraPage() {
  const model = useModels((state) => state.description.value);
  const error = useModels((state) => state.description.error);
  const open = useModels((state) => state.open);
  const form = useLora((state) => state.form);
  const base = useLora((state) => state.base);
  const title = useModelTitle();
  const writeError = useLora((state) => state.error);
  useEffect(() => {
    if (open !== null) {
      void beginLora(open);
    }
  }, [open]);
  if (model === null) {
    return error === null ? (
      <p className="state-note">Reading the headers…</p>
    ) : (
      <ErrorState title="This model cannot be opened" message={error} />
    );
  }
  const chooseFolder = async (): Promise<void> => {
    const { path } = await client.request("app.choose-folder", { title: "Folder of texts to fine-tune on" });
    if (path !== null) {
      changeLora({ data: path });
    }
  };
  const chooseFile = async (): Promise<void> => {
    const { paths } = await client.request("app.choose-files", {
      title: "Text to fine-tune on",
      extensions: textExtensions,
    });
    if (paths[0] !== undefined) {
      changeLora({ data: paths[0] });
    }
  };
  return (
    <div className="page form">
      <h1>Fine-tune {title}</h1>
      <p className="form-lead">
        LoRA leaves the model’s {formatCount(model.parameters.value)} weights as they are and trains two small matrices
        beside each attention layer: a few thousandths of the memory for gradients and optimizer. A recipe is written
        for it and opens in the editor, with what it will take.
      </p>
      <fieldset className="form-fields">
        <legend className="sr-only">Fine-tuning</legend>
        <div className="form-field">
          <span className="field-label">Texts</span>
          {form.data === "" ? null : <p className="path mono">{form.data}</p>}
          <div className="button-row">
            <Button onClick={() => void chooseFolder()}>
              {form.data === "" ? "Choose a folder…" : "Another folder…"}
            </Button>
            <Button onClick={() => void chooseFile()}>{form.data === "" ? "Choose a file…" : "Another file…"}</Button>
          </div>
          <p className="field-help">.txt, .jsonl or .jsonl.gz with a field text; a twentieth is held out.</p>
        </div>
        <div className="form-field">
          <label className="field-label" htmlFor="lora-name">
            Name
          </label>
          <input
            id="lora-name"
            className="input"
            value={form.name}
            spellCheck={false}
            onChange={(event) => changeLora({ name: event.currentTarget.value })}
          />
          <p className="field-help">Of the recipe and of its runs.</p>
        </div>
        <div className="form-field">
          <label className="field-label" htmlFor="lora-rank">
            Rank
          </label>
          <input
            id="lora-rank"
            className="input form-number"
            inputMode="numeric"
            value={form.rank}
            aria-describedby="lora-rank-help"
            onChange={(event) => {
              const rank = event.currentTarget.value;
              changeLora({ rank });
              const number = Number(rank);
              if (Number.isInteger(number) && number >= 1 && number <= Math.min(1024, model.shape.width)) {
                changeMemory({ loraRank: number });
              }
            }}
          />
          <p id="lora-rank-help" className="field-help">
            Width of the small matrices; 4 to 64 are usual, more learns more and takes more.
          </p>
        </div>
        <div className="form-field">
          <span className="field-label">Keep the base in</span>
          <Segmented label="Keep the base in" choices={bases} value={base} onChange={changeLoraBase} />
          <p className="field-help">{baseHelp(base, model.parameters.value)}</p>
        </div>
      </fieldset>
      {writeError === null ? null : (
        <p className="form-failed" role="alert">
          {writeError}
        </p>
      )}
    </div>
  );
}

function baseHelp(base: "fp32" | "bf16", parameters: number): string {
  return base === "fp32"
    ? `As it is: ${formatBytes(4 * parameters)}.`
    : `Half the memory, ${formatBytes(2 * parameters)}; products are rounded to bf16 too.`;
}
