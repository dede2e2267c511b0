// Several tokenizers on the same texts, terms and annotated entities: what to count on above, the counts below.
import "./laboratory.css";
import { useEffect } from "react";
import { client } from "../../lib/client.ts";
import { formatBytes } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { ComparisonResults } from "./comparison-results.tsx";
import { BIOMEDLM_TERMS } from "./laboratory-form.ts";
import { useLaboratory } from "./laboratory-store.ts";
import { REFERENCE_TOKENIZER, type TokenizerInfo, useTokenizers } from "./store.ts";
import { kindLabel, tokenizerLabel, tokenizerPlace } from "./tokenizer-label.ts";

export function ComparePage({ list }: { readonly list: readonly TokenizerInfo[] }) {
  const form = useLaboratory((state) => state.form);
  const setForm = useLaboratory((state) => state.setForm);
  const comparison = useLaboratory((state) => state.comparison);
  const isRunning = useLaboratory((state) => state.comparing.state === "running");
  const selected = useTokenizers((state) => state.selected);
  useEffect(() => {
    if (useLaboratory.getState().form.tokenizers.length === 0) {
      // The one looked at last, beside the one everybody knows.
      setForm({ tokenizers: [...new Set([...(selected === null ? [] : [selected]), REFERENCE_TOKENIZER])] });
    }
  }, [selected, setForm]);

  return (
    <div className="page compare-page">
      <h1>Compare tokenizers</h1>
      <fieldset className="compare-form" disabled={isRunning}>
        <legend className="sr-only">What to compare</legend>
        <TokenizerChoice list={list} />
        <PathsField
          label="Texts of the field"
          help="Bytes a token, tokens a word, words kept whole; how often each term stands in them."
          field="inputs"
          extensions={["txt", "jsonl", "gz"]}
        />
        <PathsField
          label="Annotated entities"
          help="IOB2 files: tokens a word of the entities, as BioMegatron’s Table 4 counts them."
          field="iobFiles"
          extensions={["tsv", "txt", "iob", "iob2", "conll"]}
        />
        <div className="form-field">
          <label className="field-label" htmlFor="compare-terms">
            Terms
          </label>
          <textarea
            id="compare-terms"
            className="compare-terms"
            value={form.terms}
            spellCheck={false}
            placeholder="One a line"
            onChange={(event) => setForm({ terms: event.currentTarget.value })}
          />
          <div className="button-row">
            <Button className="small" onClick={() => setForm({ terms: joined(form.terms, BIOMEDLM_TERMS) })}>
              Add BioMedLM’s terms
            </Button>
            <label className="check compare-top">
              and the
              <input
                className="input small-input"
                inputMode="numeric"
                aria-label="Most frequent names of the entities"
                value={form.topEntities}
                disabled={form.iobFiles.length === 0}
                onChange={(event) => setForm({ topEntities: event.currentTarget.value })}
              />
              most frequent names of the entities
            </label>
          </div>
        </div>
      </fieldset>
      <Progress />
      {comparison === null ? null : <ComparisonResults comparison={comparison} />}
    </div>
  );
}

function joined(terms: string, more: string): string {
  return [...new Set([...terms.split("\n"), ...more.split("\n")])].filter((line) => line.trim() !== "").join("\n");
}

function TokenizerChoice({ list }: { readonly list: readonly TokenizerInfo[] }) {
  const chosen = useLaboratory((state) => state.form.tokenizers);
  const setForm = useLaboratory((state) => state.setForm);
  const others = chosen.filter((source) => !list.some((info) => info.source === source));
  const toggle = (source: string, isOn: boolean) =>
    setForm({ tokenizers: isOn ? [...chosen, source] : chosen.filter((each) => each !== source) });
  const addFolder = async () => {
    const { path } = await client.request("app.choose-folder", { title: "Folder of a tokenizer" });
    if (path !== null) {
      setForm({ tokenizers: [...new Set([...chosen, path])] });
    }
  };
  return (
    <div className="form-field">
      <span className="field-label" id="compare-tokenizers">
        Tokenizers
      </span>
      <ul className="compare-tokenizers" aria-labelledby="compare-tokenizers">
        {list.map((info) => (
          <li key={info.source}>
            <label className="check">
              <input
                type="checkbox"
                checked={chosen.includes(info.source)}
                onChange={(event) => toggle(info.source, event.currentTarget.checked)}
              />
              {tokenizerLabel(info)}
              <span className="muted">
                {kindLabel(info.kind)}, {tokenizerPlace(info)}
              </span>
            </label>
          </li>
        ))}
        {others.map((source) => (
          <li key={source}>
            <label className="check">
              <input type="checkbox" checked onChange={() => toggle(source, false)} />
              <span className="path" title={source}>
                {source}
              </span>
            </label>
          </li>
        ))}
      </ul>
      <div className="button-row">
        <Button className="small" onClick={() => void addFolder()}>
          Add folder…
        </Button>
      </div>
    </div>
  );
}

function PathsField({
  label,
  help,
  field,
  extensions,
}: {
  readonly label: string;
  readonly help: string;
  readonly field: "inputs" | "iobFiles";
  readonly extensions: string[];
}) {
  const paths = useLaboratory((state) => state.form[field]);
  const setForm = useLaboratory((state) => state.setForm);
  const add = async () => {
    const chosen = await client.request("app.choose-files", { title: label, extensions });
    setForm({ [field]: [...new Set([...paths, ...chosen.paths])] });
  };
  const addFolder = async () => {
    const { path } = await client.request("app.choose-folder", { title: label });
    if (path !== null) {
      setForm({ [field]: [...new Set([...paths, path])] });
    }
  };
  return (
    <div className="form-field">
      <span className="field-label" id={`compare-${field}`}>
        {label}
      </span>
      <ul className="train-inputs" aria-labelledby={`compare-${field}`}>
        {paths.map((path) => (
          <li key={path}>
            <span className="path" title={path}>
              {path}
            </span>
            <Button
              className="small"
              aria-label={`Remove ${path}`}
              onClick={() => setForm({ [field]: paths.filter((other) => other !== path) })}
            >
              Remove
            </Button>
          </li>
        ))}
      </ul>
      <div className="button-row">
        <Button className="small" onClick={() => void add()}>
          Add files…
        </Button>
        {field === "inputs" ? (
          <Button className="small" onClick={() => void addFolder()}>
            Add folder…
          </Button>
        ) : null}
      </div>
      <p className="field-help">{help}</p>
    </div>
  );
}

function Progress() {
  const comparing = useLaboratory((state) => state.comparing);
  const cancel = useLaboratory((state) => state.cancel);
  if (comparing.state === "idle") {
    return null;
  }
  if (comparing.state === "failed") {
    return (
      <p className="form-failed" role="alert">
        {comparing.message}
      </p>
    );
  }
  const { bytesRead, bytesTotal } = comparing;
  return (
    <div className="form-progress compare-progress">
      <progress {...(bytesTotal === 0 ? {} : { value: bytesRead / bytesTotal })} max={1} aria-label="Counting" />
      <p role="status">
        {bytesTotal === 0 ? "Counting…" : `Read ${formatBytes(bytesRead)} of ${formatBytes(bytesTotal)}`}
      </p>
      <Button onClick={cancel}>Cancel</Button>
    </div>
  );
}
