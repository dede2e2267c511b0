// Training a tokenizer: what to learn from, how large, and the training itself with what is being waited for.
import "./laboratory.css";
import { useEffect, useState } from "react";
import { client } from "../../lib/client.ts";
import { formatDuration } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { type TrainingForm, useTokenizers } from "./store.ts";
import { Forecast } from "./training-forecast.tsx";
import { formProblems, tokenizerTypes, trainingProgress } from "./training-form.ts";

const kindHelp = {
  "byte-bpe": "As GPT-2’s and BioMedLM’s: any text can be written, nothing is unknown.",
  wordpiece: "As BERT’s and BioMegatron’s: the longest piece that fits, words with unknown characters become [UNK].",
  unigram: "As SentencePiece’s: the likeliest pieces under a language model of pieces.",
} as const;

const TEXT_EXTENSIONS = ["txt", "jsonl", "gz"];

export function TrainPanel() {
  const form = useTokenizers((state) => state.form);
  const training = useTokenizers((state) => state.training);
  const list = useTokenizers((state) => state.list);
  const setForm = useTokenizers((state) => state.setForm);
  const [touched, setTouched] = useState<ReadonlySet<keyof TrainingForm>>(new Set());
  const isRunning = training.state === "running";
  const taken = new Set((list ?? []).filter((info) => info.origin === "workspace").map((info) => info.name));
  const problems = formProblems(form, taken);
  const problem = (key: keyof TrainingForm) => (touched.has(key) ? problems[key] : undefined);
  const touch = (key: keyof TrainingForm) => setTouched(new Set([...touched, key]));

  const addFiles = async () => {
    const { paths } = await client.request("app.choose-files", {
      title: "Texts to learn from",
      extensions: TEXT_EXTENSIONS,
    });
    setForm({ inputs: [...new Set([...form.inputs, ...paths])] });
    touch("inputs");
  };
  const addFolder = async () => {
    const { path } = await client.request("app.choose-folder", { title: "Folder of texts to learn from" });
    if (path !== null) {
      setForm({ inputs: [...new Set([...form.inputs, path])], ...(form.name === "" ? { name: nameFor(path) } : {}) });
    }
    touch("inputs");
  };

  return (
    <div className="page form">
      <h1>Train a tokenizer</h1>
      <p className="form-lead">
        A tokenizer is learned from your own texts: the words of the field become single pieces. It takes .txt, .jsonl
        and .jsonl.gz files with a field <code>text</code>, or a folder of them.
      </p>
      <fieldset className="form-fields" disabled={isRunning}>
        <legend className="sr-only">Training settings</legend>
        <div className="form-field">
          <span className="field-label" id="train-inputs">
            Learn from
          </span>
          <ul className="train-inputs" aria-labelledby="train-inputs">
            {form.inputs.map((input) => (
              <li key={input}>
                <span className="path" title={input}>
                  {input}
                </span>
                <Button
                  className="small"
                  aria-label={`Remove ${input}`}
                  onClick={() => setForm({ inputs: form.inputs.filter((other) => other !== input) })}
                >
                  Remove
                </Button>
              </li>
            ))}
          </ul>
          <div className="button-row">
            <Button onClick={() => void addFolder()}>Add folder…</Button>
            <Button onClick={() => void addFiles()}>Add files…</Button>
          </div>
          <FieldProblem text={problem("inputs")} id="train-inputs-problem" />
        </div>
        <TextField
          label="Name"
          field="name"
          help="The folder it is kept in, in the workspace."
          problem={problem("name")}
          onBlur={() => touch("name")}
        />
        <div className="form-field">
          <span className="field-label">Kind</span>
          <Segmented
            label="Kind of tokenizer"
            choices={tokenizerTypes}
            value={form.type}
            onChange={(type) => setForm({ type })}
          />
          <p className="field-help">{kindHelp[form.type]}</p>
          {form.type === "wordpiece" ? (
            <label className="check">
              <input
                type="checkbox"
                checked={form.isLowercase}
                onChange={(event) => setForm({ isLowercase: event.currentTarget.checked })}
              />
              without capitals and accents
            </label>
          ) : null}
        </div>
        <TextField
          label="Vocabulary size"
          field="vocabSize"
          help="Pieces in all, special tokens among them; byte-level BPE has the 256 bytes, too."
          problem={problem("vocabSize")}
          onBlur={() => touch("vocabSize")}
        />
        <TextField
          label="Minimum frequency"
          field="minFrequency"
          help={
            form.type === "unigram"
              ? "Unigram has no merges: it is not used."
              : "A pair seen more seldom is not merged."
          }
          problem={problem("minFrequency")}
          onBlur={() => touch("minFrequency")}
        />
        <div className="form-field">
          <label className="field-label" htmlFor="train-protect">
            Words to keep whole
          </label>
          <textarea
            id="train-protect"
            className="compare-terms"
            value={form.protect}
            spellCheck={false}
            placeholder="One a line"
            aria-describedby="train-protect-help"
            onChange={(event) => setForm({ protect: event.currentTarget.value })}
          />
          <p id="train-protect-help" className="field-help">
            They become single pieces however seldom the texts have them.
          </p>
        </div>
      </fieldset>
      <Forecast isFit={problems.inputs === undefined && problems.vocabSize === undefined} />
      <TrainingProgress />
    </div>
  );
}

/** The last part of a path, as a name. */
function nameFor(path: string): string {
  return (
    path
      .split(/[\\/]+/u)
      .filter(Boolean)
      .at(-1) ?? ""
  )
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/gu, "-")
    .replace(/^[^a-z0-9]+/u, "")
    .slice(0, 64);
}

type TextFieldProps = {
  readonly label: string;
  readonly field: "name" | "vocabSize" | "minFrequency";
  readonly help: string;
  readonly problem: string | undefined;
  readonly onBlur: () => void;
};

function TextField({ label, field, help, problem, onBlur }: TextFieldProps) {
  const value = useTokenizers((state) => state.form[field]);
  const setForm = useTokenizers((state) => state.setForm);
  const id = `train-${field}`;
  return (
    <div className="form-field">
      <label className="field-label" htmlFor={id}>
        {label}
      </label>
      <input
        id={id}
        className={field === "name" ? "input" : "input form-number"}
        value={value}
        inputMode={field === "name" ? "text" : "numeric"}
        spellCheck={false}
        aria-describedby={`${id}-help`}
        aria-invalid={problem !== undefined}
        onChange={(event) => setForm({ [field]: event.currentTarget.value })}
        onBlur={onBlur}
      />
      <p id={`${id}-help`} className={problem === undefined ? "field-help" : "field-help bad"}>
        {problem ?? help}
      </p>
    </div>
  );
}

function FieldProblem({ text, id }: { readonly text: string | undefined; readonly id: string }) {
  return text === undefined ? null : (
    <p id={id} className="field-help bad">
      {text}
    </p>
  );
}

function TrainingProgress() {
  const training = useTokenizers((state) => state.training);
  const cancel = useTokenizers((state) => state.cancelTraining);
  const [now, setNow] = useState(() => Date.now());
  const isRunning = training.state === "running";
  useEffect(() => {
    if (!isRunning) {
      return undefined;
    }
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);

  if (training.state === "idle") {
    return null;
  }
  if (training.state === "failed") {
    return (
      <p className="form-failed" role="alert">
        {training.message}
      </p>
    );
  }
  const { label, share } = trainingProgress(training.phase, training.done, training.total);
  const elapsedSeconds = Math.max(0, (now - training.startedAt) / 1000);
  return (
    <div className="form-progress">
      <progress {...(share === null ? {} : { value: share })} max={1} aria-label={label} />
      <p role="status">{label}</p>
      <p className="form-elapsed">{formatDuration(elapsedSeconds)} so far</p>
      <Button onClick={cancel}>Cancel</Button>
    </div>
  );
}
