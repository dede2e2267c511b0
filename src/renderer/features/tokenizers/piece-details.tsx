// The piece being looked at, at the right: its number, bytes and place, and the merges that made it.
import type { Piece } from "#shared/ipc/tokenizers.contract";
import { bytesInHex, mergeRows, spacesShown, tokenNumber } from "./piece-facts.ts";
import type { Explanation } from "./store.ts";

type PieceDetailsProps = {
  readonly piece: Piece;
  /** How often this piece stands in the text. */
  readonly countInText: number;
  readonly tokenizerName: string;
  readonly explanation: { readonly value: Explanation | null; readonly error: string | null } | null;
};

export function PieceDetails({ piece, countInText, tokenizerName, explanation }: PieceDetailsProps) {
  const merges = mergeRows(explanation?.value?.merges ?? []);
  return (
    <section className="piece-details" aria-labelledby="piece-title">
      <h2 id="piece-title" className="details-title">
        Piece of {tokenizerName}
      </h2>
      <p className="piece-name">{spacesShown(piece.piece)}</p>
      <dl className="facts">
        <dt>id</dt>
        <dd>{tokenNumber(piece.id)}</dd>
        <dt>at bytes</dt>
        <dd>
          {tokenNumber(piece.start)}–{tokenNumber(piece.end)}
        </dd>
        <dt>in this text</dt>
        <dd>{countInText === 1 ? "once" : `${tokenNumber(countInText)} times`}</dd>
        {explanation?.value ? (
          <>
            <dt>bytes</dt>
            <dd>{bytesInHex(explanation.value.bytes)}</dd>
          </>
        ) : null}
      </dl>
      <h2 className="details-title">How it came to be</h2>
      {explanation === null ? null : explanation.error !== null ? (
        <p className="details-note bad">{explanation.error}</p>
      ) : explanation.value === null ? (
        <p className="details-note">Reading the merges…</p>
      ) : merges.length === 0 ? (
        <p className="details-note">
          {explanation.value.bytes.length === 1 ? "A single byte: every vocabulary begins with these." : "No merge made it: it is in the vocabulary as it stands."}
        </p>
      ) : (
        <ol className="merges">
          {merges.map((merge) => (
            <li key={merge.key} style={{ paddingInlineStart: `${merge.depth * 12}px` }}>
              <span className="merge-parts">
                {merge.left} + {merge.right}
              </span>{" "}
              <span className="merge-rank">merge {tokenNumber(merge.rank)}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
