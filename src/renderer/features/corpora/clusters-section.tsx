// Near duplicates for review: the document that stayed, and beside it those that went, with how alike they are.
import { useState } from "react";
import type { RequestOutput } from "#shared/ipc/contract";
import type { CorpusInfo, corporaContract } from "#shared/ipc/corpora.contract";
import { formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { Pager } from "./pager.tsx";
import { useAsked } from "./store.ts";

type Cluster = RequestOutput<typeof corporaContract, "corpora.clusters">[number];

const pageSize = 20;

export function ClustersSection({ info }: { readonly info: CorpusInfo }) {
  const [from, setFrom] = useState(0);
  const { value, error, again } = useAsked(
    "corpora.clusters",
    { path: info.path, from, count: pageSize },
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
  if (value === null) {
    return <p className="muted">Reading the near duplicates…</p>;
  }
  if (value.length === 0 && from === 0) {
    return <p className="muted">No two documents are as alike as the cleaning asked.</p>;
  }
  return (
    <div className="clusters">
      <p className="muted">
        Of each group one document stayed. The similarity is the share of runs of words that both have.
      </p>
      <ol className="cluster-list" start={from + 1}>
        {value.map((cluster) => (
          <ClusterRow key={cluster.kept.id} cluster={cluster} />
        ))}
      </ol>
      <Pager from={from} to={from + value.length} total={null} pageSize={pageSize} what="groups" onFrom={setFrom} />
    </div>
  );
}

function ClusterRow({ cluster: { kept, dropped } }: { readonly cluster: Cluster }) {
  const [isOpen, setOpen] = useState(false);
  const text = isOpen ? "document-text" : "document-text is-cut";
  return (
    <li className="cluster">
      <div className="cluster-kept">
        <p className="document-head">
          <span className="ok">kept</span>
          <span className="mono">{kept.id}</span>
          <span className="muted">{formatCount(kept.words)} words</span>
        </p>
        <p className={text}>{kept.excerpt}</p>
        <button
          type="button"
          className="text-button cluster-more"
          aria-expanded={isOpen}
          aria-label={`${isOpen ? "Less" : "More"} of the group of ${kept.id}`}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "Less" : "More"}
        </button>
      </div>
      <ul className="cluster-dropped">
        {dropped.map((each) => (
          <li key={each.id}>
            <p className="document-head">
              <span className="warn">dropped</span>
              <span className="mono">{each.id}</span>
              <span className="mono">{each.similarity.toFixed(3)}</span>
              <span className="cluster-similarity" aria-hidden="true">
                <span style={{ width: `${100 * each.similarity}%` }} />
              </span>
            </p>
            <p className={text}>{each.excerpt}</p>
          </li>
        ))}
      </ul>
    </li>
  );
}
