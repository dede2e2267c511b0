// The right-hand panel: the selected piece, or what to do to see one.
import { useMemo } from "react";
import { Section } from "../../ui/facts.tsx";
import { PieceDetails } from "./piece-details.tsx";
import { useTokenizers } from "./store.ts";
import { tokenizerLabel } from "./tokenizer-label.ts";

export function PiecePanel() {
  const selection = useTokenizers((state) => state.piece);
  const result = useTokenizers((state) =>
    selection === null ? null : (state.inspections[selection.tokenizer]?.result ?? null),
  );
  const explanation = useTokenizers((state) => state.explanation);
  const info = useTokenizers((state) => state.list?.find((known) => known.source === selection?.tokenizer));
  const piece = selection === null || result === null ? undefined : result.pieces[selection.index];
  const countInText = useMemo(
    () => result?.pieces.filter((other) => other.id === piece?.id).length ?? 0,
    [result, piece?.id],
  );
  return piece === undefined ? (
    <Section title="Piece">
      <p className="details-note">Choose a piece to see its id, its bytes and the merges that made it.</p>
    </Section>
  ) : (
    <PieceDetails
      piece={piece}
      countInText={countInText}
      tokenizerName={info === undefined ? "" : tokenizerLabel(info)}
      explanation={explanation}
    />
  );
}
