// A run's log as rows: the time apart from the words, and the day only where it changes. Lines without a time, as a crash
// prints them, stay as they are.
export type LogLine = {
  /** Place in the text; stays the same while the log grows. */
  readonly at: number;
  readonly time: string;
  readonly text: string;
  readonly isProblem: boolean;
};

const timed = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) (.*)$/;
const problem = /^(Failed|Warning|Not |Cannot |Error)|\bnot finite\b|\bNaN\b/;

function clock(date: Date): string {
  return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function logLines(log: string): readonly LogLine[] {
  let day = "";
  const lines: LogLine[] = [];
  let at = 0;
  for (const line of log.split("\n")) {
    const [, stamp, words] = timed.exec(line) ?? [];
    if (stamp !== undefined && words !== undefined) {
      const date = new Date(stamp);
      const isNewDay = day !== "" && date.toDateString() !== day;
      day = date.toDateString();
      const prefix = isNewDay ? `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ` : "";
      lines.push({ at, time: prefix + clock(date), text: words, isProblem: problem.test(words) });
    } else if (line !== "") {
      lines.push({ at, time: "", text: line, isProblem: problem.test(line) });
    }
    at += line.length + 1;
  }
  return lines;
}
