// Importing: what to read and how on the left, the first documents as they would come in on the right.
import { useEffect, useState } from "react";
import { Button } from "../../ui/button.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { freeName, nameFor } from "./corpus-names.ts";
import { DocumentList } from "./document-list.tsx";
import { setForm, useForms } from "./forms.ts";
import {
  asksForFields,
  asksForUnit,
  type FormatName,
  formatLabels,
  type ImportForm,
  importProblems,
  requestOf,
} from "./import-form.ts";
import { startImport } from "./importing.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, useJob } from "./jobs.ts";
import { PathsField } from "./paths-field.tsx";
import { loadCorpora, useAsked, useCorpora, useTakenNames } from "./store.ts";
import { TextField } from "./text-field.tsx";

const units = [
  { value: "file", label: "a file" },
  { value: "paragraph", label: "a paragraph" },
] as const;

const set = (part: Partial<ImportForm>): void => setForm("import", part);

export function ImportPage() {
  const form = useForms((state) => state.import);
  const list = useCorpora((state) => state.list);
  const taken = useTakenNames();
  const name = form.name.trim();
  useEffect(() => void loadCorpora(), []);
  const job = useJob("corpora.import", name);
  const isRunning = job?.state === "running";
  const problems = importProblems(form, list ?? []);
  const setInputs = (inputs: readonly string[]): void => {
    const suggestion = ([first]: readonly string[]): string =>
      first === undefined ? "" : freeName(nameFor(first), taken);
    // A name that was typed stays; one that the files before these gave goes with them.
    const suggested = form.name === "" || form.name === suggestion(form.inputs) ? suggestion(inputs) : form.name;
    set({ inputs, name: suggested });
  };
  return (
    <div className="page import-page">
      <div className="form import-form">
        <h1>Import a corpus</h1>
        <p className="form-lead">
          PubMed and PMC XML, MEDLINE, BioC, PubTator, JSONL, CSV, TSV, Parquet and plain text, packed by gzip or tar or
          not, become one file of documents.
        </p>
        <JobProgress job={job} what={`the import of ${name}`} onCancel={() => cancelJob("corpora.import", name)} />
        {job?.state === "cancelled" && problems.name === undefined ? (
          <div className="banner" role="status">
            <span>Cancelled. What was read is kept: the same import goes on where it stopped.</span>
            <Button onClick={() => void startImport()}>Go on</Button>
          </div>
        ) : null}
        <fieldset className="form-fields" disabled={isRunning}>
          <legend className="sr-only">What to import, and how</legend>
          <PathsField
            label="Import from"
            help="In the order given, the files of a folder by their names. A folder of MDS shards is read through its index."
            takesAddresses
            paths={form.inputs}
            onChange={setInputs}
          />
          <TextField
            label="Name"
            help="The corpus in the workspace."
            value={form.name}
            problem={form.name === "" ? null : (problems.name ?? null)}
            onChange={(value) => set({ name: value })}
          />
          <div className="form-field">
            <label className="field-label" htmlFor="import-format">
              Format
            </label>
            <select
              id="import-format"
              className="select"
              value={form.format}
              // as: the options are these names.
              onChange={(event) => set({ format: event.currentTarget.value as FormatName | "auto" })}
            >
              {Object.entries(formatLabels).map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </div>
          {asksForFields(form) ? (
            <div className="field-pair">
              <TextField
                label="Text fields"
                help="Of JSONL, CSV and Parquet, apart by commas; meta.title reaches inside."
                value={form.textFields}
                onChange={(value) => set({ textFields: value })}
              />
              <TextField
                label="Id field"
                help="Empty: id, else pmid, else the place in the file."
                value={form.idField}
                onChange={(value) => set({ idField: value })}
              />
            </div>
          ) : null}
          {asksForUnit(form) ? (
            <div className="form-field">
              <span className="field-label">A document of plain text is</span>
              <Segmented
                label="A document of plain text is"
                choices={units}
                value={form.textUnit}
                onChange={(textUnit) => set({ textUnit })}
              />
            </div>
          ) : null}
          <TextField
            label="Files read at once"
            help="Each by a thread of its own."
            isNumber
            value={form.workers}
            problem={problems.workers ?? null}
            onChange={(value) => set({ workers: value })}
          />
          <label className="check">
            <input
              type="checkbox"
              checked={form.skipBroken}
              onChange={(event) => set({ skipBroken: event.currentTarget.checked })}
            />
            Leave out damaged files instead of stopping
          </label>
        </fieldset>
      </div>
      <Preview form={form} />
    </div>
  );
}

const typingMs = 300;

/** A value once it has been left alone for a moment. */
function useSettled<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), typingMs);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

const previewed = 20;

function Preview({ form }: { readonly form: ImportForm }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const path = chosen !== null && form.inputs.includes(chosen) ? chosen : (form.inputs[0] ?? null);
  const { format, textFields } = requestOf(form);
  const fields = useSettled(textFields.join(","));
  const { value, error, isLoading } = useAsked(
    "corpora.preview",
    path === null ? null : { path, format, textFields: fields.split(","), documents: previewed },
  );
  return (
    <section className="import-preview" aria-labelledby="import-preview-title">
      <div className="corpus-section-head">
        <h2 id="import-preview-title">First documents</h2>
        {form.inputs.length < 2 || path === null ? null : (
          <select
            className="select small-select"
            aria-label="First documents of"
            value={path}
            onChange={(event) => setChosen(event.currentTarget.value)}
          >
            {form.inputs.map((input) => (
              <option key={input} value={input}>
                {input.split(/[\\/]/u).at(-1)}
              </option>
            ))}
          </select>
        )}
      </div>
      {path === null ? (
        <p className="muted">Once files are chosen, their first documents stand here as they would come in.</p>
      ) : error !== null ? (
        <p className="bad" role="alert">
          {error}
        </p>
      ) : isLoading || value === null ? (
        <p className="muted">Reading the first documents…</p>
      ) : value.length === 0 ? (
        <p className="muted">No documents.</p>
      ) : (
        <DocumentList documents={value} />
      )}
    </section>
  );
}
