// A word in its pieces, tinted as in the inspector; one that is whole is set off by its tint alone.
import { spacesShown } from "./piece-facts.ts";

export function Pieces({ pieces }: { readonly pieces: readonly string[] }) {
  return (
    <span className={pieces.length === 1 ? "word-pieces is-whole" : "word-pieces"}>
      {pieces.map((piece, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces repeat, and their place is what they are.
        <span key={index} className={`word-piece piece-tint-${index % 4}`}>
          {spacesShown(piece)}
        </span>
      ))}
    </span>
  );
}
