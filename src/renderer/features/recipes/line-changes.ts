// Which lines of a recipe differ from the preset it came from, for the marks in the gutter. Recipes are short, so a plain
// longest-common-subsequence table serves; trailing white space is not a difference.

export type LineChange =
  /** Lines from…to (1-based, inclusive) are new or replace others. `was` holds the lines they replace, if any. */
  | { readonly kind: "added" | "modified"; readonly from: number; readonly to: number; readonly was: readonly string[] }
  /** Lines of the base are gone after line `after` (0 = before the first). */
  | { readonly kind: "removed"; readonly after: number; readonly was: readonly string[] };

/** Beyond this many cells the differing middle is reported as one change. */
const TABLE_LIMIT = 4_000_000;

function linesOf(text: string): readonly string[] {
  return text.split(/\r?\n/u).map((line) => line.trimEnd());
}

/** Pairs [base, current] of equal lines, by longest common subsequence. */
function commonLines(base: readonly string[], current: readonly string[]): readonly (readonly [number, number])[] {
  let head = 0;
  while (head < base.length && head < current.length && base[head] === current[head]) {
    head += 1;
  }
  let tail = 0;
  while (tail < base.length - head && tail < current.length - head && base.at(-1 - tail) === current.at(-1 - tail)) {
    tail += 1;
  }
  const rows = base.length - head - tail;
  const columns = current.length - head - tail;
  const pairs: [number, number][] = Array.from({ length: head }, (_, index) => [index, index]);
  if (rows * columns <= TABLE_LIMIT) {
    const width = columns + 1;
    const table = new Uint32Array((rows + 1) * width);
    for (let row = rows - 1; row >= 0; row -= 1) {
      for (let column = columns - 1; column >= 0; column -= 1) {
        table[row * width + column] =
          base[head + row] === current[head + column]
            ? (table[(row + 1) * width + column + 1] ?? 0) + 1
            : Math.max(table[(row + 1) * width + column] ?? 0, table[row * width + column + 1] ?? 0);
      }
    }
    let row = 0;
    let column = 0;
    while (row < rows && column < columns) {
      if (base[head + row] === current[head + column]) {
        pairs.push([head + row, head + column]);
        row += 1;
        column += 1;
      } else if ((table[(row + 1) * width + column] ?? 0) >= (table[row * width + column + 1] ?? 0)) {
        row += 1;
      } else {
        column += 1;
      }
    }
  }
  for (let index = tail; index > 0; index -= 1) {
    pairs.push([base.length - index, current.length - index]);
  }
  return pairs;
}

export function lineChanges(baseText: string, currentText: string): readonly LineChange[] {
  const base = linesOf(baseText);
  const current = linesOf(currentText);
  const changes: LineChange[] = [];
  let baseLine = 0;
  let currentLine = 0;
  const end = [base.length, current.length] as const;
  for (const [baseAt, currentAt] of [...commonLines(base, current), end]) {
    const was = base.slice(baseLine, baseAt);
    if (currentAt > currentLine) {
      changes.push({ kind: was.length > 0 ? "modified" : "added", from: currentLine + 1, to: currentAt, was });
    } else if (was.length > 0) {
      changes.push({ kind: "removed", after: currentLine, was });
    }
    baseLine = baseAt + 1;
    currentLine = currentAt + 1;
  }
  return changes;
}

/** How many lines differ, a replaced line counted once. */
export function changedLineCount(changes: readonly LineChange[]): number {
  let count = 0;
  for (const change of changes) {
    count += change.kind === "removed" ? change.was.length : Math.max(change.to - change.from + 1, change.was.length);
  }
  return count;
}

/** The text whose lines a recipe shares most of, or null where it shares less than half with every one. */
export function nearestBase<T extends { readonly text: string }>(text: string, bases: readonly T[]): T | null {
  let nearest: T | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const base of bases) {
    const count = changedLineCount(lineChanges(base.text, text));
    if (count < fewest && count <= linesOf(text).length / 2) {
      nearest = base;
      fewest = count;
    }
  }
  return nearest;
}
