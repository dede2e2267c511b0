// The Tokenizers view: the list, one tokenizer before a text, or the training form.
import "../../ui/forms.css";
import "./tokenizers.css";
import { useEffect } from "react";
import { go, type Route, routeHash } from "../../app/router.ts";
import { formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { EmptyState, ErrorState } from "../../ui/states.tsx";
import { ComparePage } from "./compare-page.tsx";
import { Inspector } from "./inspector.tsx";
import { useLaboratory } from "./laboratory-store.ts";
import { type TokenizerInfo, useTokenizers } from "./store.ts";
import { kindLabel, tokenizerLabel, tokenizerPlace } from "./tokenizer-label.ts";
import { TrainPanel } from "./train-panel.tsx";
import { VocabularySection } from "./vocabulary-section.tsx";
import { WordSection } from "./word-section.tsx";

export function TokenizersMain({ route }: { readonly route: Route }) {
  const list = useTokenizers((state) => state.list);
  const listError = useTokenizers((state) => state.listError);
  const load = useTokenizers((state) => state.load);
  const select = useTokenizers((state) => state.select);
  const clearLookups = useLaboratory((state) => state.clearLookups);
  const [source] = route.rest;
  useEffect(() => void load(), [load]);
  useEffect(() => {
    if (source !== undefined && source !== "train" && source !== "compare") {
      select(source);
      clearLookups();
    }
  }, [source, select, clearLookups]);

  if (source === "train") {
    return <TrainPanel />;
  }
  if (list === null) {
    return listError === null ? (
      <p className="state-note">Reading tokenizers…</p>
    ) : (
      <ErrorState
        title="The tokenizers could not be listed"
        message={listError}
        actions={<Button onClick={() => void load()}>Try again</Button>}
      />
    );
  }
  if (source === undefined) {
    return <TokenizerList list={list} error={listError} />;
  }
  if (source === "compare") {
    return <ComparePage list={list} />;
  }
  const tokenizer = list.find((info) => info.source === source);
  return tokenizer === undefined ? (
    <EmptyState
      title="There is no such tokenizer"
      actions={<Button onClick={() => go("tokenizers")}>All tokenizers</Button>}
    >
      <p>{source} is not in this workspace any more.</p>
    </EmptyState>
  ) : (
    <div className="page tokenizer">
      <div className="tokenizer-head">
        <h1>{tokenizerLabel(tokenizer)}</h1>
        <p className="muted">
          {kindLabel(tokenizer.kind)}, {formatCount(tokenizer.vocabSize)} pieces, {tokenizerPlace(tokenizer)}
        </p>
      </div>
      <Inspector tokenizer={tokenizer} />
      <WordSection tokenizer={tokenizer.source} />
      <VocabularySection tokenizer={tokenizer} />
    </div>
  );
}

function TokenizerList({ list, error }: { readonly list: readonly TokenizerInfo[]; readonly error: string | null }) {
  const hasOwn = list.some((info) => info.origin !== "built-in");
  return (
    <div className="page">
      <h1>Tokenizers</h1>
      {error === null ? null : <p className="bad">The list may be out of date: {error}</p>}
      {hasOwn ? null : (
        <p className="muted tokenizer-list-hint">
          None of your own yet. Train one from your texts, or train a recipe: its tokenizer appears here. GPT-2’s is
          here to compare with.
        </p>
      )}
      <table className="table tokenizer-list">
        <thead>
          <tr>
            <th>name</th>
            <th>kind</th>
            <th>where</th>
            <th className="number">pieces</th>
          </tr>
        </thead>
        <tbody>
          {list.map((info) => (
            <tr key={info.source}>
              <td>
                <a href={routeHash("tokenizers", info.source)}>{tokenizerLabel(info)}</a>
              </td>
              <td className="muted">{kindLabel(info.kind)}</td>
              <td className="muted">{tokenizerPlace(info)}</td>
              <td className="number">{formatCount(info.vocabSize)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
