// What the run views say, as pure functions: words for states and phases, and what may be asked of a run.
import type { RunSummary } from "#shared/domain/run";
import { formatBytes, formatCount, formatDuration } from "../../lib/format.ts";

export const lossKey = "train/loss";
export const evalLossKey = "eval/loss";

export type SmallFigure = {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly isBytes: boolean;
};

/** The small figures below the loss, in order; a run that has not logged a key does not show it. */
export const smallFigures: readonly SmallFigure[] = [
  { key: "train/learning_rate", title: "Learning rate", unit: "", isBytes: false },
  { key: "train/grad_norm", title: "Gradient norm", unit: "", isBytes: false },
  { key: "throughput/tokens_per_second", title: "Tokens per second", unit: "", isBytes: false },
  { key: "eval/perplexity", title: "Perplexity, held out", unit: "", isBytes: false },
  { key: "memory/peak_bytes", title: "Memory, peak", unit: "", isBytes: true },
  { key: "data/stall_seconds", title: "Waiting for shards, s", unit: "", isBytes: false },
  { key: "data/bytes_fetched", title: "Fetched since the last line", unit: "", isBytes: true },
];

export type Tone = "ok" | "warn" | "bad" | "muted";

const tones: Readonly<Record<RunSummary["status"], Tone>> = {
  queued: "muted",
  starting: "ok",
  running: "ok",
  paused: "warn",
  stopping: "warn",
  completed: "muted",
  failed: "bad",
  stopped: "muted",
  lost: "bad",
};

export function toneOf(status: RunSummary["status"]): Tone {
  return tones[status];
}

/** `reading corpus, 1.2 MB of 4 MB` — what a run that does not train yet waits for. */
export function phaseText(summary: Pick<RunSummary, "phase">): string {
  const { phase } = summary;
  if (phase === null) {
    return "";
  }
  if (phase.done === undefined) {
    return phase.name;
  }
  const amount = (value: number): string =>
    phase.unit === "bytes"
      ? formatBytes(value)
      : `${formatCount(value)}${phase.unit === undefined ? "" : ` ${phase.unit}`}`;
  return phase.total === undefined
    ? `${phase.name}, ${amount(phase.done)}`
    : `${phase.name}, ${amount(phase.done)} of ${amount(phase.total)}`;
}

/** The line behind a run's name: where it is and what is left. */
export function positionText(summary: RunSummary): string {
  const step =
    summary.totalSteps === null
      ? `step ${formatCount(summary.step)}`
      : `step ${formatCount(summary.step)} of ${formatCount(summary.totalSteps)}`;
  const waiting = phaseText(summary);
  if (waiting !== "") {
    return summary.step > 0 ? `${step}, ${waiting}` : waiting;
  }
  if (summary.status === "running" && summary.secondsLeft !== null) {
    return `${step}, about ${formatDuration(summary.secondsLeft)} left, on this computer`;
  }
  return step;
}

/** How far a phase with a known end has come, from 0 to 1; null where nothing is waited for or no end is known. */
export function phaseShare({ phase }: Pick<RunSummary, "phase">): number | null {
  return phase?.done === undefined || phase.total === undefined || phase.total <= 0
    ? null
    : Math.min(1, phase.done / phase.total);
}

/** Why a run that has no curve yet, and will not get one by waiting, has none; null while it may. */
export function noCurveText(status: RunSummary["status"]): string | null {
  return status === "failed" || status === "stopped" || status === "lost" || status === "completed"
    ? "It ended before its first step, so there is no curve."
    : null;
}

/** What a screen reader hears of a run that goes on, every so often. */
export function spokenText(summary: RunSummary): string {
  const figures = [
    summary.trainLoss === null ? null : `loss ${summary.trainLoss.toFixed(2)}`,
    summary.evalPerplexity === null ? null : `held-out perplexity ${summary.evalPerplexity.toFixed(1)}`,
  ].filter((part) => part !== null);
  return [`${summary.name} ${summary.status}`, positionText(summary), ...figures].join(", ");
}

/** What may be asked of a run in this state. */
export function actionsFor(status: RunSummary["status"]): {
  readonly canStop: boolean;
  readonly canPause: boolean;
  readonly canUnpause: boolean;
  readonly canCheckpoint: boolean;
  readonly canResume: boolean;
  /** With a longer max_duration. */
  readonly canExtend: boolean;
} {
  return {
    canStop: status === "running" || status === "paused" || status === "starting" || status === "queued",
    canPause: status === "running",
    canUnpause: status === "paused",
    canCheckpoint: status === "running" || status === "paused",
    canResume: status === "stopped" || status === "failed" || status === "lost",
    canExtend: status === "completed" || status === "stopped",
  };
}
