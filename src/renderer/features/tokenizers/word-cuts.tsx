// A word under a tokenizer without merges: WordPiece's longest pieces step by step, and unigram's likeliest cuts.
import type { WordExplanation } from "#shared/ipc/tokenizers.contract";
import { formatCount } from "../../lib/format.ts";
import { timesLikelier } from "./likelier.ts";
import { Pieces } from "./pieces.tsx";

type Found<Kind extends WordExplanation["kind"]> = Extract<WordExplanation, { kind: Kind }>;

export function LongestMatch({ found, word }: { readonly found: Found<"longest-match">; readonly word: string }) {
  return (
    <div className="word-explanation">
      <p className="word-result">
        <Pieces pieces={found.pieces} />
        <span className="muted">
          {found.stuckAt === null
            ? `${formatCount(found.pieces.length)} ${found.pieces.length === 1 ? "piece" : "pieces"}: from the left always the longest that fits`
            : `unknown: nothing of the vocabulary fits at “${found.stuckAt}”`}
          {found.normalized === word ? "" : `; the model gets the word as ${found.normalized}`}
        </span>
      </p>
      {found.shortest === null ? null : (
        <p>
          <span className="muted">The vocabulary could cut it into fewer:</span> <Pieces pieces={found.shortest} />
        </p>
      )}
      <table className="table word-cuts">
        <thead>
          <tr>
            <th>longest piece that fits</th>
            <th>left over</th>
            <th>longer ones that do not fit</th>
          </tr>
        </thead>
        <tbody>
          {found.steps.map((step, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a piece may come twice in a word.
            <tr key={index}>
              <td>
                <Pieces pieces={[step.piece]} />
              </td>
              <td>
                <code>{step.rest}</code>
              </td>
              <td className="muted">{step.longer.join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function LikeliestCuts({ found }: { readonly found: Found<"unigram"> }) {
  const best = found.paths[0]?.score ?? 0;
  return (
    <div className="word-explanation">
      <p className="word-result">
        <Pieces pieces={found.pieces} />
        <span className="muted">
          {found.pieces.length === 1
            ? "one piece: the likeliest way to write it"
            : `${formatCount(found.pieces.length)} pieces; ${found.wholeId === null ? "the whole word is not in the vocabulary" : `the whole word is token ${found.wholeId}, but less likely`}`}
        </span>
      </p>
      <table className="table word-cuts">
        <thead>
          <tr>
            <th>way to cut it</th>
            <th className="number">log probability</th>
            <th className="number">the best is likelier by</th>
          </tr>
        </thead>
        <tbody>
          {found.paths.map((path) => (
            <tr key={path.pieces.map(({ piece }) => piece).join("|")}>
              <td title={path.pieces.map(({ piece, score }) => `${piece} ${score.toFixed(2)}`).join("  ")}>
                <Pieces pieces={path.pieces.map(({ piece }) => piece)} />
              </td>
              <td className="number">{path.score.toFixed(2)}</td>
              <td className="number">{path === found.paths[0] ? "" : timesLikelier(best - path.score)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
