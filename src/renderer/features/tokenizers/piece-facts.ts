// Facts about a piece as they are written: numbers, bytes, merges.
import type { Explanation } from "./store.ts";

/** At most sixteen bytes, then how many more there are. */
export function bytesInHex(bytes: readonly number[]): string {
  const shown = bytes.slice(0, 16).map((byte) => byte.toString(16).padStart(2, "0"));
  return bytes.length > 16 ? `${shown.join(" ")} … ${bytes.length - 16} more` : shown.join(" ");
}

export type MergeRow = {
  readonly key: string;
  readonly depth: number;
  readonly left: string;
  readonly right: string;
  readonly rank: number;
};

/** Deep trees are cut: beyond a depth the parts are single letters and say nothing. */
const DEEPEST = 8;

/** A leading space is part of a piece and would not be seen, nor would a line's end. */
export function spacesShown(text: string): string {
  return text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
}

export function mergeRows(merges: Explanation["merges"]): readonly MergeRow[] {
  return merges
    .filter((merge) => merge.depth <= DEEPEST)
    .map((merge, index) => ({
      key: `${index}:${merge.rank}`,
      depth: merge.depth,
      left: spacesShown(merge.left),
      right: spacesShown(merge.right),
      rank: merge.rank,
    }));
}
