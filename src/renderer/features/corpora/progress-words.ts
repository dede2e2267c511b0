// A job's progress in words: the phase, how much of how much, and its pace once there is one.
import { formatBytes, formatCount, formatDuration } from "../../lib/format.ts";
import type { Job } from "./jobs.ts";

const phaseNames: Readonly<Record<string, string>> = {
  starting: "Starting",
  reading: "Reading",
  writing: "Writing",
  scanning: "Looking through the corpus",
  counting: "Counting",
  splitting: "Splitting",
  sharding: "Writing shards",
  comparing: "Comparing near duplicates",
};

/** Phases that count something else than bytes. */
const countedPhases = new Set(["comparing"]);

const rateAfterSeconds = 1;

type ProgressWords = {
  readonly label: string;
  readonly share: number | null;
  /** Rate and time left; empty before there is one. */
  readonly pace: string;
};

export function progressWords(job: Extract<Job<unknown>, { state: "running" }>, now: number): ProgressWords {
  const { phase, done, total, documents } = job.progress;
  const name = phaseNames[phase] ?? `${phase.charAt(0).toUpperCase()}${phase.slice(1)}`;
  const isCount = countedPhases.has(phase);
  const amount = (value: number): string => (isCount ? formatCount(value) : formatBytes(value));
  const parts = [
    total === null ? (done > 0 ? amount(done) : null) : `${amount(done)} of ${amount(total)}`,
    documents === null || documents === 0 ? null : `${formatCount(documents)} documents`,
  ].filter((part) => part !== null);
  const seconds = (now - job.phaseStartedAt) / 1000;
  const moved = done - job.phaseStartedWith;
  const rate = seconds >= rateAfterSeconds && moved > 0 ? moved / seconds : null;
  const pace = [
    rate === null || isCount ? null : `${formatBytes(rate)}/s`,
    rate === null || total === null || total <= done ? null : `about ${formatDuration((total - done) / rate)} left`,
  ].filter((part) => part !== null);
  return {
    label: parts.length === 0 ? `${name}…` : `${name}: ${parts.join(", ")}`,
    share: total === null || total <= 0 ? null : Math.min(1, done / total),
    pace: pace.join(", "),
  };
}
