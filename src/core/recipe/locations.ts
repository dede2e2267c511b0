// Where a key or value stands in the text of a recipe: 1-based lines and columns as editors count them.
import { type Document, isMap, isScalar, isSeq, type LineCounter, type Node } from "yaml";

export type TextRange = {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
};

export const startOfText: TextRange = { line: 1, column: 1, endLine: 1, endColumn: 1 };

export function rangeOfOffsets(lines: LineCounter, start: number, end: number): TextRange {
  const from = lines.linePos(start);
  const to = lines.linePos(Math.max(start, end));
  return { line: from.line, column: from.col, endLine: to.line, endColumn: to.col };
}

function offsetsOf(node: unknown): readonly [number, number] | null {
  const range = (node as Node | null | undefined)?.range;
  return range === null || range === undefined ? null : [range[0], range[1]];
}

function pairAt(parent: unknown, key: PropertyKey) {
  return isMap(parent)
    ? parent.items.find((pair) => (isScalar(pair.key) ? String(pair.key.value) : String(pair.key)) === String(key))
    : undefined;
}

/**
 * The range of the key or of the value at `path`. A value that is absent or empty has its key's range; a path that is
 * not in the text has that of the nearest key above it, and null when that came from an override.
 */
export function locate(
  document: Document.Parsed | Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
  what: "key" | "value",
): TextRange | null {
  let node: unknown = document.contents;
  let best: readonly [number, number] | null = null;
  for (const [index, part] of path.entries()) {
    if (isSeq(node)) {
      node = node.items[Number(part)];
      if (node === undefined) {
        break;
      }
      best = offsetsOf(node);
      continue;
    }
    const pair = pairAt(node, part);
    if (pair === undefined) {
      break;
    }
    const keyOffsets = offsetsOf(pair.key);
    const valueOffsets = offsetsOf(pair.value);
    const isLast = index === path.length - 1;
    const isBlock = isMap(pair.value) || isSeq(pair.value) ? pair.value.flow !== true : false;
    // A block of many lines is underlined at its key.
    const wantsValue = isLast && what === "value" && !isBlock;
    const valueIsThere = valueOffsets !== null && valueOffsets[1] > valueOffsets[0];
    best = wantsValue && (valueIsThere || keyOffsets === null) ? valueOffsets : keyOffsets;
    node = pair.value;
  }
  if (best !== null) {
    return rangeOfOffsets(lines, best[0], best[1]);
  }
  return path.length === 0 || pairAt(document.contents, path[0] ?? "") === undefined ? startOfText : null;
}
