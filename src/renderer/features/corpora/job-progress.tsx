// What a job is doing: the phase in words, how much of how much, at what rate, how long still; or why it failed.
import { useEffect, useState } from "react";
import { formatDuration } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import type { Job } from "./jobs.ts";
import { progressWords } from "./progress-words.ts";

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
