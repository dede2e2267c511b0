// Corpora for the shell: what there is to learn from, how it came in, and what was left out.
import { Library } from "lucide-react";
import { assertNever } from "#shared/errors";
import type { Command, Count, Crumb, Feature } from "../../app/feature.ts";
import { go, type Route, routeHash } from "../../app/router.ts";
import { CorporaActions } from "./corpora-actions.tsx";
import { CorporaMain } from "./corpora-main.tsx";
import { corpusRoute } from "./corpus-route.ts";
import { useJobs } from "./jobs.ts";
import { loadCorpora, useCorpora } from "./store.ts";

const workNames = { clean: "Clean", scan: "Scan evaluation sets", split: "Split", shard: "Write shards" } as const;

function useCrumbs(route: Route): readonly Crumb[] {
  const list = useCorpora((state) => state.list);
  const at = corpusRoute(route);
  const nameOf = (path: string): string => list?.find((info) => info.path === path)?.name ?? path;
  switch (at.kind) {
    case "list":
      return [];
    case "import":
      return [{ label: "Import" }];
    case "trace":
      return [{ label: "Trace a step" }];
    case "corpus":
      return [{ label: nameOf(at.path) }];
    case "work":
      return [{ label: nameOf(at.path), hash: routeHash("corpora", at.path) }, { label: workNames[at.work] }];
    default:
      return assertNever(at);
  }
}

/** Work on corpora that is under way, wherever one looks. */
function useCount(): Count | null {
  const running = useJobs(
    (jobs) =>
      Object.values(jobs)
        .flatMap((ofKind) => Object.values(ofKind))
        .filter((job) => job.state === "running").length,
  );
  return running === 0 ? null : { value: running, isLive: true };
}

function commands(): readonly Command[] {
  const { list } = useCorpora.getState();
  if (list === null) {
    // Found the next time the palette opens.
    void loadCorpora();
  }
  return [
    {
      id: "import-corpus",
      title: "Import a corpus",
      keywords: "pubmed pmc jats medline bioc jsonl csv parquet",
      run: () => go("corpora", "import"),
    },
    {
      id: "trace-step",
      title: "Trace a step back to its documents",
      keywords: "batch sequence lineage",
      run: () => go("corpora", "trace"),
    },
    ...(list ?? []).flatMap((info) => [
      { id: `corpus-${info.path}`, title: `Corpus ${info.name}`, run: () => go("corpora", info.path) },
      ...(info.isUnfinished
        ? []
        : [
            { id: `clean-${info.path}`, title: `Clean ${info.name}`, run: () => go("corpora", info.path, "clean") },
            {
              id: `scan-${info.path}`,
              title: `Scan evaluation sets against ${info.name}`,
              keywords: "contamination overlap",
              run: () => go("corpora", info.path, "scan"),
            },
            { id: `split-${info.path}`, title: `Split ${info.name}`, run: () => go("corpora", info.path, "split") },
            {
              id: `shard-${info.path}`,
              title: `Write ${info.name} as MDS shards`,
              keywords: "mosaicml streaming export",
              run: () => go("corpora", info.path, "shard"),
            },
          ]),
    ]),
  ];
}

export const corporaFeature: Feature = {
  id: "corpora",
  title: "Corpora",
  icon: Library,
  Main: CorporaMain,
  Actions: CorporaActions,
  useCrumbs,
  useCount,
  commands,
};
