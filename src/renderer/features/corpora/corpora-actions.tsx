// Top right of Corpora: importing; of a corpus: scanning and cleaning; on their pages, doing so. Ctrl or Cmd with
// Enter does the accent one.
import { useEffect } from "react";
import { assertNever } from "#shared/errors";
import { go, type Route, routeHash } from "../../app/router.ts";
import { modifierKey } from "../../lib/keys.ts";
import { Button } from "../../ui/button.tsx";
import { cleanProblems } from "./clean-form.ts";
import { corpusRoute, type WorkName } from "./corpus-route.ts";
import { useForms } from "./forms.ts";
import { importProblems } from "./import-form.ts";
import { startImport } from "./importing.ts";
import { useJob } from "./jobs.ts";
import { useCorpora, useTakenNames } from "./store.ts";
import { scanProblem, shardProblem, splitProblem, startCleaning, startScan, startShards, startSplit } from "./works.ts";

function StartButton({
  label,
  problem,
  running,
  start,
}: {
  readonly label: string;
  readonly problem: string | null;
  /** What is under way, in a word; null when nothing is. */
  readonly running: string | null;
  readonly start: () => void;
}) {
  const canStart = problem === null && running === null;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && canStart) {
        event.preventDefault();
        start();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [canStart, start]);
  return (
    <>
      <span id="corpora-note" className="actions-note">
        {running ?? problem}
      </span>
      <Button variant="primary" disabled={!canStart} aria-describedby="corpora-note" onClick={start}>
        {label} <kbd>{modifierKey}⏎</kbd>
      </Button>
    </>
  );
}

export function CorporaActions({ route }: { readonly route: Route }) {
  const at = corpusRoute(route);
  switch (at.kind) {
    case "list":
      return (
        <>
          <a className="button" href={routeHash("corpora", "trace")}>
            Trace a step…
          </a>
          <Button variant="primary" onClick={() => go("corpora", "import")}>
            Import corpus…
          </Button>
        </>
      );
    case "import":
      return <ImportAction />;
    case "trace":
      return null;
    case "corpus":
      return <CorpusActions path={at.path} />;
    case "work":
      return <WorkAction path={at.path} work={at.work} />;
    default:
      return assertNever(at);
  }
}

function ImportAction() {
  const form = useForms((state) => state.import);
  const list = useCorpora((state) => state.list);
  const isRunning = useJob("corpora.import", form.name.trim())?.state === "running";
  const [problem] = Object.values(importProblems(form, list ?? []));
  return (
    <StartButton
      label="Import corpus"
      problem={problem ?? null}
      running={isRunning ? "importing…" : null}
      start={() => void startImport()}
    />
  );
}

function CorpusActions({ path }: { readonly path: string }) {
  const info = useCorpora((state) => state.list?.find((each) => each.path === path));
  if (info === undefined || info.isUnfinished) {
    return null;
  }
  return (
    <>
      <a className="button" href={routeHash("corpora", path, "scan")}>
        Scan evaluation sets…
      </a>
      <Button variant="primary" onClick={() => go("corpora", path, "clean")}>
        Clean corpus…
      </Button>
    </>
  );
}

function WorkAction({ path, work }: { readonly path: string; readonly work: WorkName }) {
  const clean = useForms((state) => state.clean);
  const scan = useForms((state) => state.scan);
  const split = useForms((state) => state.split);
  const taken = useTakenNames();
  const isCleaning = useJob("corpora.clean", path)?.state === "running";
  const isScanning = useJob("corpora.scan", path)?.state === "running";
  const shard = useForms((state) => state.shard);
  const isSharding = useJob("corpora.shard", path)?.state === "running";
  const isSplitting = useJob("corpora.split", path)?.state === "running";
  switch (work) {
    case "clean":
      return (
        <StartButton
          label="Clean corpus"
          problem={Object.values(cleanProblems(clean, taken))[0] ?? null}
          running={isCleaning ? "cleaning…" : null}
          start={() => void startCleaning(path)}
        />
      );
    case "scan":
      return (
        <StartButton
          label="Scan corpus"
          problem={scanProblem(scan)}
          running={isScanning ? "scanning…" : null}
          start={() => void startScan(path)}
        />
      );
    case "split":
      return (
        <StartButton
          label="Split corpus"
          problem={splitProblem(split, taken)}
          running={isSplitting ? "splitting…" : null}
          start={() => void startSplit(path)}
        />
      );
    case "shard":
      return (
        <StartButton
          label="Write shards"
          problem={shardProblem(shard)}
          running={isSharding ? "writing…" : null}
          start={() => void startShards(path)}
        />
      );
    default:
      return assertNever(work);
  }
}
