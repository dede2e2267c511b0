// The Corpora view: the list, an import, one corpus, what can be done to it, and traces from training back to documents.
import "../../ui/forms.css";
import "./corpora.css";
import { type ReactNode, useEffect } from "react";
import { assertNever } from "#shared/errors";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { go, type Route } from "../../app/router.ts";
import { Button } from "../../ui/button.tsx";
import { EmptyState, ErrorState } from "../../ui/states.tsx";
import { CleanPage } from "./clean-page.tsx";
import { CorpusList } from "./corpus-list.tsx";
import { CorpusPage } from "./corpus-page.tsx";
import { corpusRoute } from "./corpus-route.ts";
import { openForms } from "./forms.ts";
import { ImportPage } from "./import-page.tsx";
import { ScanPage } from "./scan-page.tsx";
import { ShardPage } from "./shard-page.tsx";
import { SplitPage } from "./split-page.tsx";
import { loadCorpora, useCorpora } from "./store.ts";
import { TracePage } from "./trace-page.tsx";

export function CorporaMain({ route }: { readonly route: Route }) {
  const at = corpusRoute(route);
  switch (at.kind) {
    case "list":
      return <CorpusList />;
    case "import":
      return <ImportPage />;
    case "trace":
      return <TracePage run={at.run} step={at.step} sequence={at.sequence} />;
    case "corpus":
      return <OneCorpus path={at.path}>{(info) => <CorpusPage info={info} section={at.section} />}</OneCorpus>;
    case "work":
      return (
        <OneCorpus path={at.path}>
          {(info) =>
            at.work === "clean" ? (
              <CleanPage info={info} />
            ) : at.work === "scan" ? (
              <ScanPage info={info} />
            ) : at.work === "split" ? (
              <SplitPage info={info} />
            ) : (
              <ShardPage info={info} />
            )
          }
        </OneCorpus>
      );
    default:
      return assertNever(at);
  }
}

function OneCorpus({ path, children }: { readonly path: string; readonly children: (info: CorpusInfo) => ReactNode }) {
  const list = useCorpora((state) => state.list);
  const error = useCorpora((state) => state.listError);
  const info = list?.find((each) => each.path === path);
  useEffect(() => void loadCorpora(), []);
  useEffect(() => {
    if (info !== undefined) {
      openForms(info.path, info.name, new Set((list ?? []).map(({ name }) => name)));
    }
  }, [info, list]);
  if (info !== undefined) {
    return children(info);
  }
  if (list === null) {
    return error === null ? (
      <p className="state-note">Looking for the corpus…</p>
    ) : (
      <ErrorState
        title="The corpora could not be listed"
        message={error}
        actions={<Button onClick={() => void loadCorpora()}>Try again</Button>}
      />
    );
  }
  return (
    <EmptyState title="There is no such corpus" actions={<Button onClick={() => go("corpora")}>All corpora</Button>}>
      <p>{path} is not in this workspace any more.</p>
    </EmptyState>
  );
}
