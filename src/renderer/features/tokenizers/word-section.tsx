// Why a word splits where it does: the merges that made its pieces and what would have crossed each border, the longest
// pieces that WordPiece found, or the likeliest ways to cut it under a unigram model.
import { useEffect } from "react";
import { assertNever } from "#shared/errors";
import type { WordExplanation } from "#shared/ipc/tokenizers.contract";
import { formatCount } from "../../lib/format.ts";
import { useLaboratory } from "./laboratory-store.ts";
import { spacesShown } from "./piece-facts.ts";
import { Pieces } from "./pieces.tsx";
import { LikeliestCuts, LongestMatch } from "./word-cuts.tsx";

export function WordSection({ tokenizer }: { readonly tokenizer: string }) {
  const word = useLaboratory((state) => state.word);
  const { value, error } = useLaboratory((state) => state.explanation);
  const explain = useLaboratory((state) => state.explain);
  useEffect(() => void explain(tokenizer, useLaboratory.getState().word), [explain, tokenizer]);
  return (
    <section className="lab-section" aria-labelledby="word-title">
      <div className="lab-section-head">
        <h2 id="word-title">Why a word splits where it does</h2>
        <label className="check">
          <span className="muted">word</span>
          <input
            className="input word-input"
            value={word.trimStart()}
            maxLength={200}
            spellCheck={false}
            onChange={(event) => void explain(tokenizer, ` ${event.currentTarget.value.trimStart()}`)}
          />
        </label>
      </div>
      {error === null ? null : <p className="bad">{error}</p>}
      {value === null || value.word.trim() === "" ? null : value.found === null ? (
        <p className="muted">
          Nothing to explain: this is not one word for this tokenizer, or its kind cannot tell. The pieces are above.
        </p>
      ) : (
        <Explanation found={value.found} word={value.word.trim()} />
      )}
    </section>
  );
}

function Explanation({ found, word }: { readonly found: WordExplanation; readonly word: string }) {
  switch (found.kind) {
    case "merges":
      return <Merges found={found} />;
    case "longest-match":
      return <LongestMatch found={found} word={word} />;
    case "unigram":
      return <LikeliestCuts found={found} />;
    default:
      return assertNever(found);
  }
}

function Merges({ found }: { readonly found: Extract<WordExplanation, { kind: "merges" }> }) {
  return (
    <div className="word-explanation">
      <p className="word-result">
        <Pieces pieces={found.pieces} />
        <span className="muted">
          {found.pieces.length === 1
            ? `one piece, after ${formatCount(found.steps.length)} merges`
            : `${formatCount(found.pieces.length)} pieces; ${found.wholeId === null ? "the whole word is not in the vocabulary" : `the whole word is token ${found.wholeId}, but is not reached`}`}
        </span>
      </p>
      {found.borders.map((border, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: borders of equal pieces differ by their place alone.
        <p key={index}>
          <span className="word-border">
            {spacesShown(border.left)}
            <b aria-hidden="true">|</b>
            {spacesShown(border.right)}
          </span>{" "}
          {border.crossing.length === 0 ? (
            <span className="muted">
              no token crosses this border: the training texts held too little that joins here.
            </span>
          ) : (
            <span className="muted">
              the vocabulary holds{" "}
              {border.crossing.map(({ id, piece, rank }, at) => (
                <span key={id}>
                  {at > 0 ? ", " : ""}
                  <code>{spacesShown(piece)}</code>
                  {rank === null ? "" : ` (merge ${formatCount(rank)})`}
                </span>
              ))}
              , but earlier merges took a side of it.
            </span>
          )}
        </p>
      ))}
      <ol className="word-steps" aria-label="Merges in order">
        {found.steps.map((step, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a merge may come twice in a word.
          <li key={index}>
            <span className="merge-rank">{formatCount(step.rank)}</span>
            <span className="word-join">
              {spacesShown(step.left)} + {spacesShown(step.right)}
            </span>
            <Pieces pieces={step.pieces} />
          </li>
        ))}
      </ol>
    </div>
  );
}
