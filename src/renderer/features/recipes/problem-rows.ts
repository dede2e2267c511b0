// The Problems panel: what recipes.check found, in the order of the text, each with the one edit that mends it where
// there is one.
import type { RecipeProblem } from "#shared/ipc/recipes.contract";

export type ProblemRow = {
  readonly key: string;
  readonly problem: RecipeProblem;
  readonly place: string;
  /** What stands there now, for "replace x by y"; null where nothing is proposed. */
  readonly fix: { readonly from: string; readonly to: string } | null;
};

export type TextRange = Pick<RecipeProblem, "line" | "column" | "endLine" | "endColumn">;

/** UTF-16 offset of a 1-based line and column; past the end of a line it is the line's end. */
export function offsetAt(text: string, line: number, column: number): number {
  let start = 0;
  for (let current = 1; current < line; current += 1) {
    const newline = text.indexOf("\n", start);
    if (newline === -1) {
      return text.length;
    }
    start = newline + 1;
  }
  const newline = text.indexOf("\n", start);
  const end = newline === -1 ? text.length : newline;
  return Math.min(start + Math.max(0, column - 1), end);
}

export function textInRange(text: string, range: TextRange): string {
  return text.slice(offsetAt(text, range.line, range.column), offsetAt(text, range.endLine, range.endColumn));
}

/** The text with the suggestion in place of what it is about. Null where there is no suggestion. */
export function applySuggestion(text: string, problem: RecipeProblem): string | null {
  if (problem.suggestion === null) {
    return null;
  }
  const start = offsetAt(text, problem.line, problem.column);
  const end = offsetAt(text, problem.endLine, problem.endColumn);
  return text.slice(0, start) + problem.suggestion + text.slice(Math.max(start, end));
}

export function problemRows(text: string, problems: readonly RecipeProblem[]): readonly ProblemRow[] {
  const order = { error: 0, warning: 1 } as const;
  return problems
    .toSorted((a, b) => a.line - b.line || a.column - b.column || order[a.severity] - order[b.severity])
    .map((problem, index) => ({
      key: `${problem.code}:${problem.path}:${problem.line}:${index}`,
      problem,
      place: `line ${problem.line}`,
      fix: problem.suggestion === null ? null : { from: textInRange(text, problem), to: problem.suggestion },
    }));
}

export function problemCounts(problems: readonly RecipeProblem[]): {
  readonly errors: number;
  readonly warnings: number;
} {
  const errors = problems.filter((problem) => problem.severity === "error").length;
  return { errors, warnings: problems.length - errors };
}
