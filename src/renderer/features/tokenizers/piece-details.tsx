// The piece being looked at: its number, bytes and place, and the merges that made it.
import type { Piece } from "#shared/ipc/tokenizers.contract";
import { formatCount } from "../../lib/format.ts";
import { Facts, Section } from "../../ui/facts.tsx";
import { bytesInHex, mergeRows, spacesShown } from "./piece-facts.ts";
import type { Explanation } from "./store.ts";

type ExplanationState = { readonly value: Explanation | null; readonly error: string | null };

type PieceDetailsProps = {
  readonly piece: Piece;
  /** How often this piece stands in the text. */
  readonly countInText: number;
  readonly tokenizerName: string;
  readonly explanation: ExplanationState | null;
};

export function PieceDetails({ piece, countInText, tokenizerName, explanation }: PieceDetailsProps) {
  return (
    <>
      <Section title={`Piece of ${tokenizerName}`}>
        <p className="piece-name" data-testid="piece-name">
          {spacesShown(piece.piece)}
        </p>
        <Facts
          rows={[
            ["id", formatCount(piece.id)],
            ["at bytes", `${formatCount(piece.start)}–${formatCount(piece.end)}`],
            ["bytes", explanation?.value ? bytesInHex(explanation.value.bytes) : "…"],
            ["in this text", countInText === 1 ? "once" : `${formatCount(countInText)} times`],
          ]}
        />
      </Section>
      <Section title="How it came to be">
        <Merges explanation={explanation} />
      </Section>
    </>
  );
}

function Merges({ explanation }: { readonly explanation: ExplanationState | null }) {
  if (explanation?.error) {
    return <p className="bad">{explanation.error}</p>;
  }
  if (!explanation?.value) {
    return <p className="details-note">Reading the merges…</p>;
  }
  const merges = mergeRows(explanation.value.merges);
  if (merges.length === 0) {
    const isByte = explanation.value.bytes.length === 1;
    return (
      <p className="details-note">
        {isByte
          ? "A single byte: every byte-level vocabulary begins with these."
          : "No merge made it: it stands in the vocabulary as it is."}
      </p>
    );
  }
  return (
    <ol className="merges">
      {merges.map((merge) => (
        <li key={merge.key} style={{ paddingInlineStart: `${merge.depth * 12}px` }}>
          {merge.left} + {merge.right} <span className="merge-rank">merge {formatCount(merge.rank)}</span>
        </li>
      ))}
    </ol>
  );
}
