// Cleaning a corpus into a new one: the rules in the order they are applied, each to be switched off, with their figures.
import type { ReactNode } from "react";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { Segmented } from "../../ui/segmented.tsx";
import { type CleanForm, type CleanProblems, cleanProblems } from "./clean-form.ts";
import { setForm, useForms } from "./forms.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, useJob } from "./jobs.ts";
import { useTakenNames } from "./store.ts";
import { TextField } from "./text-field.tsx";

const set = (part: Partial<CleanForm>): void => setForm("clean", part);

/** What is typed as a figure. */
type FigureName =
  | "minWords"
  | "maxWords"
  | "maxSymbols"
  | "maxDigits"
  | "maxRepeatedLines"
  | "maxRepeatedRuns"
  | "leastWordLength"
  | "mostWordLength"
  | "similarity"
  | "runWords";

const keeps = [
  { value: "longest", label: "the longest" },
  { value: "first", label: "the first" },
] as const;

export function CleanPage({ info }: { readonly info: CorpusInfo }) {
  const form = useForms((state) => state.clean);
  const taken = useTakenNames();
  const job = useJob("corpora.clean", info.path);
  const problems = cleanProblems(form, taken);
  return (
    <div className="page form clean-page">
      <h1>Clean {info.name}</h1>
      <p className="form-lead">
        The rules below read every document in this order and write those that stay into a new corpus. {info.name} is
        not touched; the new ledger names every document that goes or changes.
      </p>
      <JobProgress job={job} what={`cleaning ${info.name}`} onCancel={() => cancelJob("corpora.clean", info.path)} />
      <fieldset className="form-fields" disabled={job?.state === "running"}>
        <legend className="sr-only">Rules</legend>
        <TextField
          label="Name of the new corpus"
          help="In the workspace."
          value={form.name}
          problem={problems.name ?? null}
          onChange={(name) => set({ name })}
        />
        <Rules form={form} problems={problems} />
      </fieldset>
    </div>
  );
}

function Rules({ form, problems }: { readonly form: CleanForm; readonly problems: CleanProblems }) {
  const figure = (key: FigureName, label: string, help: string): ReactNode => (
    <TextField
      label={label}
      help={help}
      isNumber
      value={form[key]}
      problem={problems[key] ?? null}
      onChange={(value) => set({ [key]: value })}
    />
  );
  return (
    <>
      <Rule
        title="Boilerplate"
        help="Sentences at line ends that say who owns the text are removed."
        isOn={form.boilerplate}
        onToggle={(boilerplate) => set({ boilerplate })}
      >
        <div className="form-field">
          <label className="field-label" htmlFor="clean-phrases">
            Your own phrases
          </label>
          <textarea
            id="clean-phrases"
            className="clean-phrases"
            value={form.phrases}
            placeholder="One a line, literally"
            spellCheck={false}
            onChange={(event) => set({ phrases: event.currentTarget.value })}
          />
          {problems.phrases === undefined ? null : <p className="field-help bad">{problems.phrases}</p>}
        </div>
      </Rule>
      <Rule
        title="Length"
        help="Documents of fewer or more words go."
        isOn={form.length}
        onToggle={(length) => set({ length })}
      >
        <div className="field-pair">
          {figure("minWords", "Words at least", "Runs of letters and digits.")}
          {figure("maxWords", "Words at most", "")}
        </div>
      </Rule>
      <Rule
        title="Language"
        help="Documents in other languages go; told from script and function words."
        isOn={form.language}
        onToggle={(language) => set({ language })}
      >
        <TextField
          label="Languages to keep"
          help="Codes of two letters, apart by commas."
          value={form.languages}
          problem={problems.languages ?? null}
          onChange={(languages) => set({ languages })}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={form.keepUndetermined}
            onChange={(event) => set({ keepUndetermined: event.currentTarget.checked })}
          />
          Keep what is too short to tell
        </label>
      </Rule>
      <Rule
        title="Quality"
        help="Documents of symbols, digits or repetitions go. Shares from 0 to 1; empty is off."
        isOn={form.quality}
        onToggle={(quality) => set({ quality })}
      >
        <div className="field-pair">
          {figure("maxSymbols", "Symbols at most", "Of all characters.")}
          {figure("maxDigits", "Digits at most", "Of all characters.")}
          {figure("maxRepeatedLines", "Repeated lines at most", "Characters in lines that were there before.")}
          {figure("maxRepeatedRuns", "Repeated runs at most", "Words in runs of five that were there before.")}
          {figure("leastWordLength", "Letters a word at least", "On average.")}
          {figure("mostWordLength", "Letters a word at most", "On average.")}
        </div>
      </Rule>
      <Rule
        title="Exact duplicates"
        help="The same words in the same order; capitals, blanks and punctuation may differ."
        isOn={form.exactDuplicates}
        onToggle={(exactDuplicates) => set({ exactDuplicates })}
      />
      <Rule
        title="Near duplicates"
        help="Documents that share most of their runs of words; one of them stays."
        isOn={form.nearDuplicates}
        onToggle={(nearDuplicates) => set({ nearDuplicates })}
      >
        <div className="field-pair">
          {figure("similarity", "Similarity from", "Runs both share, of all in either.")}
          {figure("runWords", "Words a run", "")}
        </div>
        <div className="form-field">
          <span className="field-label">Of a group stays</span>
          <Segmented label="Of a group stays" choices={keeps} value={form.keep} onChange={(keep) => set({ keep })} />
        </div>
      </Rule>
    </>
  );
}

function Rule({
  title,
  help,
  isOn,
  onToggle,
  children,
}: {
  readonly title: string;
  readonly help: string;
  readonly isOn: boolean;
  readonly onToggle: (isOn: boolean) => void;
  readonly children?: ReactNode;
}) {
  return (
    <section className="clean-rule" aria-label={title}>
      <label className="check clean-rule-head">
        <input type="checkbox" checked={isOn} onChange={(event) => onToggle(event.currentTarget.checked)} />
        <span className="clean-rule-title">{title}</span>
      </label>
      <p className="field-help">{help}</p>
      {isOn && children !== undefined ? <div className="clean-rule-fields">{children}</div> : null}
    </section>
  );
}
