// One corpus: what is in it and what was left out, in sections that are addresses of their own.
import { useState } from "react";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { go, routeHash } from "../../app/router.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatBytes, formatCount, formatTime } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { EmptyState } from "../../ui/states.tsx";
import { Tabs } from "../../ui/tabs.tsx";
import { ClustersSection } from "./clusters-section.tsx";
import type { SectionName } from "./corpus-route.ts";
import { DocumentList } from "./document-list.tsx";
import { continueImport } from "./importing.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, useJob } from "./jobs.ts";
import { LedgerSection } from "./ledger-section.tsx";
import { StatisticsSection } from "./statistics-section.tsx";
import { useAsked } from "./store.ts";

const tabNames = {
  documents: "Documents",
  ledger: "Ledger",
  statistics: "Statistics",
  clusters: "Near duplicates",
} as const;
type TabName = (typeof tabNames)[SectionName];

export function CorpusPage({ info, section }: { readonly info: CorpusInfo; readonly section: SectionName }) {
  if (info.isUnfinished) {
    return <Unfinished info={info} />;
  }
  const shown = (["documents", "ledger", "statistics", "clusters"] as const).filter(
    (each) => (each !== "ledger" || info.hasLedger) && (each !== "clusters" || info.hasClusters),
  );
  const choose = (name: TabName): void => {
    const chosen = shown.find((each) => tabNames[each] === name);
    if (chosen !== undefined) {
      go("corpora", info.path, chosen);
    }
  };
  return (
    <div className="page corpus-page">
      <Head info={info} />
      <Tabs
        label="What to see of the corpus"
        names={shown.map((each) => tabNames[each])}
        chosen={tabNames[section]}
        onChoose={choose}
      />
      {section === "documents" ? <DocumentsSection info={info} /> : null}
      {section === "ledger" ? <LedgerSection key={info.path} info={info} /> : null}
      {section === "statistics" ? <StatisticsSection info={info} /> : null}
      {section === "clusters" ? <ClustersSection key={info.path} info={info} /> : null}
    </div>
  );
}

function Head({ info }: { readonly info: CorpusInfo }) {
  const [problem, setProblem] = useState<string | null>(null);
  const reveal = (): void => {
    setProblem(null);
    client.request("app.reveal", { path: info.path }).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <div className="corpus-head">
      <div className="page-title">
        <h1>{info.name}</h1>
        <span className="muted">
          {info.documents === null ? null : `${formatCount(info.documents)} documents, `}
          {formatBytes(info.sizeBytes)}, written {formatTime(info.modifiedAt)}
        </span>
      </div>
      <p className="corpus-place">
        <span className="mono path muted">{info.path}</span>
        <CopyButton className="small" text={() => info.path}>
          Copy path
        </CopyButton>
        <Button className="small" onClick={reveal}>
          Open folder
        </Button>
        <a className="button small" href={routeHash("corpora", info.path, "split")}>
          Split…
        </a>
        <a className="button small" href={routeHash("corpora", info.path, "shard")}>
          Write shards…
        </a>
        {problem === null ? null : <span className="bad">{problem}</span>}
      </p>
    </div>
  );
}

function Unfinished({ info }: { readonly info: CorpusInfo }) {
  const job = useJob("corpora.import", info.name);
  const isRunning = job?.state === "running";
  return (
    <EmptyState
      title={isRunning ? `${info.name} is being imported` : `The import of ${info.name} is not finished`}
      actions={
        isRunning || info.unfinished === null ? undefined : (
          <>
            <Button variant="primary" onClick={() => void continueImport(info)}>
              Go on with the import
            </Button>
            <Button onClick={() => void continueImport(info, { restart: true })}>Begin anew</Button>
          </>
        )
      }
    >
      <JobProgress
        job={job}
        what={`the import of ${info.name}`}
        onCancel={() => cancelJob("corpora.import", info.name)}
      />
      {isRunning ? null : (
        <p>
          {info.unfinished === null
            ? "It was begun by another version: give the same import again, and it goes on where it stopped."
            : "What was read so far is kept, and the import goes on where it stopped. It is from:"}
        </p>
      )}
      {info.unfinished === null ? null : (
        <ul className="corpus-paths">
          {info.unfinished.inputs.map((input) => (
            <li key={input}>
              <span className="mono path">{input}</span>
            </li>
          ))}
        </ul>
      )}
      <a href={routeHash("corpora")}>All corpora</a>
    </EmptyState>
  );
}

const firstDocuments = 20;
const moreDocuments = 100;

function DocumentsSection({ info }: { readonly info: CorpusInfo }) {
  const [count, setCount] = useState(firstDocuments);
  const { value, error, isLoading, again } = useAsked(
    "corpora.preview",
    { path: info.path, format: "jsonl", documents: count },
    info.modifiedAt,
  );
  if (error !== null) {
    return (
      <div className="banner banner-bad" role="alert">
        <span>{error}</span>
        <Button onClick={again}>Try again</Button>
      </div>
    );
  }
  if (isLoading || value === null) {
    return <p className="muted">Reading the first documents…</p>;
  }
  const isAll = value.length < count || value.length === info.documents;
  return (
    <>
      <DocumentList documents={value} />
      <p className="table-foot muted">
        {isAll ? `All ${formatCount(value.length)} documents.` : `The first ${formatCount(value.length)} documents. `}
        {isAll || count >= moreDocuments ? null : (
          <button type="button" className="text-button" onClick={() => setCount(moreDocuments)}>
            Show {moreDocuments}
          </button>
        )}
      </p>
    </>
  );
}
