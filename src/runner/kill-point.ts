// For the crash tests alone: ASSAY_TEST_KILL_AT="<point>:<step>" ends this process by SIGKILL, as a power cut would, when
// it comes to that point. Unset, as it always is outside test/integration/crash.test.ts, this does nothing.
import { appendFileSync } from "node:fs";

const wanted = process.env["ASSAY_TEST_KILL_AT"];

export type KillPoint =
  | "locked"
  | "resolved"
  | "prepared"
  | "in-step"
  | "after-line"
  | "checkpoint-begun"
  | "checkpoint-files-written"
  | "checkpoint-before-rename"
  | "checkpoint-after-rename"
  | "after-rotation";

export function killPoint(point: KillPoint, step: number): void {
  if (wanted === `${point}:${step}`) {
    process.kill(process.pid, "SIGKILL");
  }
}

/** Leaves half a line behind. */
export function killInLine(file: string, line: string, step: number): void {
  if (wanted === `in-line:${step}`) {
    appendFileSync(file, line.slice(0, line.length / 2));
    process.kill(process.pid, "SIGKILL");
  }
}
