// What went wrong in a run, from what it wrote: its end, values that are not numbers, resumes, and lines of the log that
// say so. Nothing is judged here that the run did not write.
import { formatCount } from "../../lib/format.ts";
import type { LogLine } from "./log-lines.ts";
import type { RunShown } from "./store.ts";

type CurveMarks = {
  readonly key: string;
  readonly nonFinite: readonly { readonly x: number; readonly value: string }[];
};

export type RunProblem = { readonly id: string; readonly at: string; readonly text: string; readonly isBad: boolean };

export function problemsOf(
  shown: Pick<RunShown, "summary" | "resumes">,
  curves: readonly CurveMarks[],
  log: readonly LogLine[],
): readonly RunProblem[] {
  const { summary, resumes } = shown;
  const problems: RunProblem[] = [];
  if (summary.status === "failed" && summary.exitReason !== null) {
    problems.push({ id: "end", at: "end", text: summary.exitReason.message, isBad: true });
  }
  if (summary.status === "lost") {
    problems.push({ id: "lost", at: "end", text: "The process that trained it is gone without a word.", isBad: true });
  }
  for (const { key, nonFinite } of curves) {
    for (const { x, value } of nonFinite) {
      problems.push({ id: `${key} ${x}`, at: formatCount(x), text: `${key} is ${value}.`, isBad: true });
    }
  }
  for (const { resumed, fromStep } of resumes) {
    problems.push({
      id: `resumed ${resumed}`,
      at: `step ${formatCount(fromStep)}`,
      text: `Resumed from here, for the ${ordinal(resumed)} time. Steps after it were trained again.`,
      isBad: false,
    });
  }
  const said = new Set(problems.map((problem) => problem.text));
  for (const line of log.filter(({ isProblem }) => isProblem)) {
    if (![...said].some((text) => line.text.includes(text))) {
      problems.push({ id: `log ${line.at}`, at: line.time, text: line.text, isBad: true });
    }
  }
  return problems;
}

function ordinal(count: number): string {
  return ["first", "second", "third"][count - 1] ?? `${count}th`;
}
