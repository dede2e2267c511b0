// What a job is doing: the phase in words, how much of how much, at what rate, how long still; or why it failed.
import { useEffect, useState } from "react";
import { formatBytes, formatCount, formatDuration } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import type { Job } from "./jobs.ts";

const phaseNames: Readonly<Record<string, string>> = {
  starting: "Starting",
  reading: "Reading",
  writing: "Writing",
  scanning: "Looking through the corpus",
  counting: "Counting",
  splitting: "Splitting",
  comparing: "Comparing near duplicates",
};

/** Phases that count something else than bytes. */
const countedPhases = new Set(["comparing"]);

const rateAfterSeconds = 1;

export type ProgressWords = {
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

/** The clock, once a second while something runs. */
function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!isRunning) {
      return undefined;
    }
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}

export function JobProgress({
  job,
  what,
  onCancel,
}: {
  readonly job: Job<unknown> | undefined;
  /** "the import of mine": what Cancel ends, for readers. */
  readonly what: string;
  readonly onCancel: () => void;
}) {
  const now = useNow(job?.state === "running");
  if (job?.state === "failed") {
    return (
      <p className="form-failed" role="alert">
        {job.message}
      </p>
    );
  }
  if (job?.state !== "running") {
    return null;
  }
  const { label, share, pace } = progressWords(job, Math.max(now, job.phaseStartedAt));
  const elapsed = `${formatDuration(Math.max(0, (now - job.startedAt) / 1000))} so far`;
  return (
    <div className="form-progress corpus-progress">
      <progress {...(share === null ? {} : { value: share })} max={1} aria-label={label} />
      <p role="status">{label}</p>
      <p className="form-elapsed">{pace === "" ? elapsed : `${pace}, ${elapsed}`}</p>
      <Button aria-label={`Cancel ${what}`} onClick={onCancel}>
        Cancel
      </Button>
    </div>
  );
}
