// Exporting a model: in which format and precision, into how large files and where; then its progress, and what reading
// the export back has shown.
import { useEffect, useState } from "react";
import { assertNever } from "#shared/errors";
import { routeHash } from "../../app/router.ts";
import { useSettings } from "../../app/settings-store.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatBytes, formatDuration } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { type ExportForm, exportBytes, exportTarget, formatsOf, precisionNotes, precisionsOf } from "./export-form.ts";
import { comparisonText } from "./model-words.ts";
import { cancelExport, changeExport, type ExportState, useModels, useModelTitle } from "./store.ts";

const formatLeads: Readonly<Record<ExportForm["format"], string>> = {
  safetensors: "A folder as Hugging Face Transformers reads it: config.json, weights and tokenizer.",
  gguf: "One file for llama.cpp and what is built on it, the tokenizer inside.",
  peft: "The adapter alone, as PEFT reads it: a few megabytes that name the model they sit on.",
};

export function useExportsFolder(): string {
  return useSettings((state) => `${state.settings?.workspace ?? ""}/exports`);
}

export function ExportPage() {
  const model = useModels((state) => state.description.value);
  const error = useModels((state) => state.description.error);
  const form = useModels((state) => state.exportForm);
  const title = useModelTitle();
  const exporting = useModels((state) => state.exporting);
  const exportsFolder = useExportsFolder();
  if (model === null) {
    return error === null ? (
      <p className="state-note">Reading the headers…</p>
    ) : (
      <ErrorState title="This model cannot be opened" message={error} />
    );
  }
  const formats = formatsOf(model);
  const target = exportTarget(form, exportsFolder);
  const setFormat = (format: ExportForm["format"]): void =>
    changeExport({ format, ...(precisionsOf[format].includes(form.precision) ? {} : { precision: "f32" as const }) });
  const chooseFolder = async (): Promise<void> => {
    const { path } = await client.request("app.choose-folder", { title: "Folder to export into" });
    if (path !== null) {
      changeExport({ parent: path });
    }
  };
  return (
    <div className="page form">
      <h1>Export {title}</h1>
      <p className="form-lead">
        {formatLeads[form.format]}
        {model.adapter !== null && form.format !== "peft" ? " The adapter is merged into the weights." : ""} The export
        is read back and its logits are compared before it counts as done.
      </p>
      <fieldset className="form-fields" disabled={exporting.state === "running"}>
        <legend className="sr-only">What to export</legend>
        <div className="form-field">
          <span className="field-label">Format</span>
          <Segmented label="Format" choices={formats} value={form.format} onChange={setFormat} />
          {formats.some(({ value }) => value === "gguf") ? null : (
            <p className="field-help">GGUF is there for GPT-2 language models alone.</p>
          )}
        </div>
        <div className="form-field">
          <span className="field-label">Precision</span>
          <Segmented
            label="Precision"
            choices={precisionsOf[form.format].map((value) => ({ value, label: value }))}
            value={form.precision}
            onChange={(precision) => changeExport({ precision })}
          />
          <p className="field-help">
            {precisionNotes[form.precision]}
            {form.format === "peft"
              ? ""
              : `: about ${formatBytes(exportBytes(model.parameters.value, form.precision))}`}
            .
          </p>
        </div>
        {form.format === "safetensors" ? (
          <div className="form-field">
            <label className="field-label" htmlFor="export-shards">
              Largest file, GB
            </label>
            <input
              id="export-shards"
              className="input form-number"
              inputMode="decimal"
              value={form.shardGigabytes}
              aria-describedby="export-shards-help"
              onChange={(event) => changeExport({ shardGigabytes: event.currentTarget.value })}
            />
            <p id="export-shards-help" className="field-help">
              0 keeps the weights in one file; else they are split, with an index.
            </p>
          </div>
        ) : null}
        <div className="form-field">
          <label className="field-label" htmlFor="export-name">
            Name
          </label>
          <div className="button-row">
            <input
              id="export-name"
              className="input"
              value={form.name}
              spellCheck={false}
              aria-describedby="export-target"
              onChange={(event) => changeExport({ name: event.currentTarget.value })}
            />
            <Button onClick={() => void chooseFolder()}>Another folder…</Button>
            {form.parent === null ? null : (
              <Button onClick={() => changeExport({ parent: null })}>Into the workspace</Button>
            )}
          </div>
          <p id="export-target" className="field-help mono path">
            {target}
          </p>
        </div>
      </fieldset>
      <Outcome exporting={exporting} />
    </div>
  );
}

function Outcome({ exporting }: { readonly exporting: ExportState }) {
  const now = useNow(exporting.state === "running");
  switch (exporting.state) {
    case "running": {
      const { phase, done, total, startedAt } = exporting;
      const share = total === null || total === 0 ? null : Math.min(1, done / total);
      return (
        <div className="form-progress">
          <progress {...(share === null ? {} : { value: share })} max={1} aria-label={phase} />
          <p role="status">{share === null ? phase : `${phase}, ${Math.floor(100 * share)} %`}</p>
          <p className="form-elapsed">{formatDuration(Math.max(0, (now - startedAt) / 1000))} so far</p>
          <Button onClick={cancelExport}>Cancel</Button>
        </div>
      );
    }
    case "failed":
      return (
        <p className="form-failed" role="alert">
          {exporting.message}
        </p>
      );
    case "done":
      return <Done result={exporting.result} />;
    case "idle":
      return null;
    default:
      return assertNever(exporting);
  }
}

function Done({ result }: { readonly result: Extract<ExportState, { state: "done" }>["result"] }) {
  const [problem, setProblem] = useState<string | null>(null);
  const bytes = result.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const reveal = (): void => {
    setProblem(null);
    client.request("app.reveal", { path: result.path }).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <section className="export-done" aria-labelledby="export-done-title">
      <h2 id="export-done-title" className="ok">
        Exported, {formatBytes(bytes)}
      </h2>
      <p role="status" data-testid="export-comparison">
        {comparisonText(result)}
      </p>
      <p className="mono path">{result.path}</p>
      <div className="button-row">
        <CopyButton text={() => result.path}>Copy path</CopyButton>
        <Button onClick={reveal}>Open folder</Button>
        <a className="button" href={routeHash("models", result.path)}>
          Look at the export
        </a>
      </div>
      {problem === null ? null : <p className="bad">{problem}</p>}
      <ul className="export-files mono">
        {result.files.map((file) => (
          <li key={file.name}>
            <span>{file.name}</span> <span className="muted">{formatBytes(file.sizeBytes)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The clock, once a second while something runs. */
function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!isRunning) {
      return undefined;
    }
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}
