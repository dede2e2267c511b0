// Splitting a corpus into what is trained on and what is held out: by each document's id, so that the same documents are
// held out however often it is done.
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { routeHash } from "../../app/router.ts";
import { formatCount } from "../../lib/format.ts";
import { nameProblem } from "./corpus-names.ts";
import { type SplitForm, setForm, useForms } from "./forms.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, useJob } from "./jobs.ts";
import { useTakenNames } from "./store.ts";
import { TextField } from "./text-field.tsx";
import { percentProblem } from "./works.ts";

const set = (part: Partial<SplitForm>): void => setForm("split", part);

export function SplitPage({ info }: { readonly info: CorpusInfo }) {
  const form = useForms((state) => state.split);
  const taken = useTakenNames();
  const job = useJob("corpora.split", info.path);
  // Once written, the names are taken by what was written.
  const isDone = job?.state === "done";
  const problem = (name: string): string | null => (isDone ? null : nameProblem(name, taken));
  return (
    <div className="page form">
      <h1>Split {info.name}</h1>
      <p className="form-lead">
        Which documents are held out depends on their ids alone: the same ones as <code>eval: {"{fraction: …}"}</code>{" "}
        of a recipe holds out.
      </p>
      <JobProgress job={job} what={`splitting ${info.name}`} onCancel={() => cancelJob("corpora.split", info.path)} />
      <fieldset className="form-fields" disabled={job?.state === "running"}>
        <legend className="sr-only">The two parts</legend>
        <TextField
          label="Held out, per cent"
          help={
            info.documents === null || percentProblem(form) !== null
              ? "Of the documents."
              : `About ${formatCount((info.documents * Number(form.percent)) / 100)} of ${formatCount(info.documents)} documents.`
          }
          isNumber
          value={form.percent}
          problem={percentProblem(form)}
          onChange={(percent) => set({ percent })}
        />
        <TextField
          label="Name of the part to train on"
          help="In the workspace."
          value={form.train}
          problem={problem(form.train)}
          onChange={(train) => set({ train })}
        />
        <TextField
          label="Name of the held-out part"
          help="In the workspace."
          value={form.heldOut}
          problem={problem(form.heldOut)}
          onChange={(heldOut) => set({ heldOut })}
        />
      </fieldset>
      {isDone ? (
        <section aria-label="The two parts">
          <h2 className="ok">Split</h2>
          <ul className="split-parts" role="list">
            {[job.result.train, job.result.heldOut].map((part) => (
              <li key={part.file}>
                <a href={routeHash("corpora", part.file)}>
                  {part.file
                    .split(/[\\/]/u)
                    .at(-1)
                    ?.replace(/\.jsonl$/u, "")}
                </a>{" "}
                <span className="muted">{formatCount(part.documents)} documents</span>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
    </div>
  );
}
