// The corpora of the workspace as one quiet table; what is being imported shows how far it is, what was left goes on.
import { useEffect } from "react";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { go, routeHash } from "../../app/router.ts";
import { formatBytes, formatCount, formatTime } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { EmptyState, ErrorState } from "../../ui/states.tsx";
import { continueImport } from "./importing.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, useJobs } from "./jobs.ts";
import { loadCorpora, useCorpora } from "./store.ts";

function asText(list: readonly CorpusInfo[]): string {
  return tableText(
    ["corpus", "documents", "bytes", "written", "path"],
    list.map((info) => [info.name, info.documents, info.sizeBytes, info.modifiedAt, info.path]),
  );
}

export function CorpusList() {
  const list = useCorpora((state) => state.list);
  const error = useCorpora((state) => state.listError);
  const imports = useJobs((state) => state["corpora.import"]);
  useEffect(() => void loadCorpora(), []);
  if (list === null) {
    return error === null ? (
      <p className="state-note">Looking for corpora…</p>
    ) : (
      <ErrorState
        title="The corpora could not be listed"
        message={error}
        actions={<Button onClick={() => void loadCorpora()}>Try again</Button>}
      />
    );
  }
  // One that has only begun is in no list yet.
  const begun = Object.entries(imports)
    .filter(([name, job]) => job.state === "running" && !list.some((info) => info.name === name))
    .map(([name]) => name);
  if (list.length === 0 && begun.length === 0) {
    return (
      <EmptyState
        title="No corpora yet"
        actions={
          <Button variant="primary" onClick={() => go("corpora", "import")}>
            Import a corpus…
          </Button>
        }
      >
        <p>
          A corpus is the text a model learns from. Import PubMed or PMC files, MEDLINE, BioC, PubTator, JSONL, CSV,
          Parquet or plain text: every document keeps its id, and the ledger says what was left out and why.
        </p>
      </EmptyState>
    );
  }
  return (
    <div className="page">
      <h1>Corpora</h1>
      {error === null ? null : <p className="bad">This list may be out of date: {error}</p>}
      <table className="table corpora-table">
        <thead>
          <tr>
            <th scope="col">corpus</th>
            <th scope="col" className="number">
              documents
            </th>
            <th scope="col" className="number">
              size
            </th>
            <th scope="col" className="number optional">
              written
            </th>
            <th scope="col">
              <span className="sr-only">what is known of it</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {begun.map((name) => (
            <tr key={name}>
              <td>{name}</td>
              <td colSpan={4}>
                <ImportProgress name={name} />
              </td>
            </tr>
          ))}
          {list.map((info) => (
            <Row key={info.path} info={info} />
          ))}
        </tbody>
      </table>
      <p className="table-foot">
        <CopyButton className="small" text={() => asText(list)}>
          Copy table
        </CopyButton>
      </p>
    </div>
  );
}

function ImportProgress({ name }: { readonly name: string }) {
  const job = useJobs((state) => state["corpora.import"][name]);
  return <JobProgress job={job} what={`the import of ${name}`} onCancel={() => cancelJob("corpora.import", name)} />;
}

function Row({ info }: { readonly info: CorpusInfo }) {
  const job = useJobs((state) => state["corpora.import"][info.name]);
  const link = <a href={routeHash("corpora", info.path)}>{info.name}</a>;
  if (info.isUnfinished) {
    const isRunning = job?.state === "running";
    return (
      <tr>
        <td>{link}</td>
        <td colSpan={4}>
          {isRunning ? (
            <ImportProgress name={info.name} />
          ) : (
            <span className="corpora-unfinished">
              <span className="warn">import not finished</span>
              {info.unfinished === null ? null : (
                <Button
                  className="small"
                  aria-label={`Go on with the import of ${info.name}`}
                  onClick={() => void continueImport(info)}
                >
                  Go on
                </Button>
              )}
              {job?.state === "failed" ? <span className="bad">{job.message}</span> : null}
            </span>
          )}
        </td>
      </tr>
    );
  }
  return (
    <tr>
      <td>{link}</td>
      <td className="number">{info.documents === null ? "–" : formatCount(info.documents)}</td>
      <td className="number">{formatBytes(info.sizeBytes)}</td>
      <td className="number optional">{formatTime(info.modifiedAt)}</td>
      <td className="muted corpora-known">
        {[info.hasLedger ? "ledger" : null, info.hasClusters ? "near duplicates" : null]
          .filter((each) => each !== null)
          .join(", ")}
      </td>
    </tr>
  );
}
