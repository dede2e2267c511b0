// What a route of Corpora names: the list, `import`, `trace[/run[/step/sequence]]`, a corpus by its path with one of its
// sections, or one of the things that can be done to it.
import type { Route } from "../../app/router.ts";

export const sections = ["documents", "ledger", "statistics", "clusters"] as const;
export type SectionName = (typeof sections)[number];
export const works = ["clean", "scan", "split", "shard"] as const;
export type WorkName = (typeof works)[number];

export type CorpusRoute =
  | { readonly kind: "list" }
  | { readonly kind: "import" }
  | { readonly kind: "trace"; readonly run: string | null; readonly step: number; readonly sequence: number }
  | { readonly kind: "corpus"; readonly path: string; readonly section: SectionName }
  | { readonly kind: "work"; readonly path: string; readonly work: WorkName };

function atLeastOne(text: string | undefined): number {
  return text !== undefined && /^[1-9]\d*$/u.test(text) ? Number(text) : 1;
}

export function corpusRoute({ rest: [first, second, ...more] }: Pick<Route, "rest">): CorpusRoute {
  if (first === undefined) {
    return { kind: "list" };
  }
  if (first === "import") {
    return { kind: "import" };
  }
  if (first === "trace") {
    return { kind: "trace", run: second ?? null, step: atLeastOne(more[0]), sequence: atLeastOne(more[1]) };
  }
  const work = works.find((each) => each === second);
  if (work !== undefined) {
    return { kind: "work", path: first, work };
  }
  return { kind: "corpus", path: first, section: sections.find((each) => each === second) ?? "documents" };
}
