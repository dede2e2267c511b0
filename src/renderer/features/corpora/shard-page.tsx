// Writing a corpus as a folder of MDS shards, for MosaicML's streaming and for training from a bucket: as text, or as the
// tokens of a tokenizer.
import { useEffect, useState } from "react";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { client, messageOf } from "../../lib/client.ts";
import { formatBytes, formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { useTokenizers } from "../tokenizers/store.ts";
import { tokenizerLabel } from "../tokenizers/tokenizer-label.ts";
import { nameProblem } from "./corpus-names.ts";
import { type ShardForm, setForm, useForms } from "./forms.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, type JobResult, useJob } from "./jobs.ts";
import { TextField } from "./text-field.tsx";
import { sizeProblem } from "./works.ts";

const compressions = [
  { value: "zstd", label: "zstd" },
  { value: "gz", label: "gzip" },
  { value: "none", label: "none" },
] as const;

const set = (part: Partial<ShardForm>): void => setForm("shard", part);

export function ShardPage({ info }: { readonly info: CorpusInfo }) {
  const form = useForms((state) => state.shard);
  const tokenizers = useTokenizers((state) => state.list);
  const job = useJob("corpora.shard", info.path);
  useEffect(() => {
    void useTokenizers.getState().load();
  }, []);
  return (
    <div className="page form">
      <h1>Write {info.name} as shards</h1>
      <p className="form-lead">
        MDS, the format of MosaicML&apos;s streaming: a folder that can be put on a server or into a bucket as it is.
      </p>
      <JobProgress
        job={job}
        what={`writing the shards of ${info.name}`}
        onCancel={() => cancelJob("corpora.shard", info.path)}
      />
      <fieldset className="form-fields" disabled={job?.state === "running"}>
        <legend className="sr-only">The shards</legend>
        <TextField
          label="Folder"
          help="Beside the corpora of the workspace."
          value={form.folder}
          problem={nameProblem(form.folder, new Set(), "folder")}
          onChange={(folder) => set({ folder })}
        />
        <div className="form-field">
          <label className="field-label" htmlFor="shard-tokenizer">
            What they hold
          </label>
          <select
            id="shard-tokenizer"
            className="select"
            value={form.tokenizer}
            aria-describedby="shard-tokenizer-help"
            onChange={(event) => set({ tokenizer: event.currentTarget.value })}
          >
            <option value="">Text</option>
            {(tokenizers ?? []).map((each) => (
              <option key={each.source} value={each.source}>
                Tokens of {tokenizerLabel(each)}
              </option>
            ))}
          </select>
          <p id="shard-tokenizer-help" className="field-help">
            Text serves any tokenizer; tokens, with end-of-text after each document, one alone.
          </p>
        </div>
        <div className="form-field">
          <span className="field-label">Compression</span>
          <Segmented
            label="Compression"
            choices={compressions}
            value={form.compression}
            onChange={(compression) => set({ compression })}
          />
        </div>
        <TextField
          label="Size of a shard, MiB"
          help="Before compression. Larger ones are fewer requests, smaller ones less memory."
          isNumber
          value={form.sizeMiB}
          problem={sizeProblem(form)}
          onChange={(sizeMiB) => set({ sizeMiB })}
        />
      </fieldset>
      {job?.state === "cancelled" ? (
        <p role="status" className="muted">
          Cancelled; nothing was left in the folder.
        </p>
      ) : null}
      {job?.state === "done" ? <Written result={job.result} /> : null}
    </div>
  );
}

function Written({ result }: { readonly result: JobResult<"corpora.shard"> }) {
  const [problem, setProblem] = useState<string | null>(null);
  const { directory, shards, documents, emptyDocuments, textBytes, tokens, storedBytes } = result;
  const reveal = (): void => {
    setProblem(null);
    client.request("app.reveal", { path: directory }).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <section aria-label="The shards">
      <h2 className="ok">Written</h2>
      <p>
        {formatCount(documents)} documents ({formatBytes(textBytes)} of text
        {tokens === null ? "" : `, ${formatCount(tokens)} tokens`}) in{" "}
        {shards === 1 ? "one shard of" : `${formatCount(shards)} shards, together`} {formatBytes(storedBytes)}
        {emptyDocuments === 0 ? "." : `; ${formatCount(emptyDocuments)} without text were left out.`}
      </p>
      <p className="corpus-place">
        <span className="mono path muted">{directory}</span>
        <CopyButton className="small" text={() => directory}>
          Copy path
        </CopyButton>
        <Button className="small" onClick={reveal}>
          Open folder
        </Button>
        {problem === null ? null : <span className="bad">{problem}</span>}
      </p>
    </section>
  );
}
