// Learning rate and durations as numbers: pure functions of how far training is, so that resume needs no state.
// The schedule is Composer's CosineAnnealingWithWarmupScheduler, in doubles.
import { type Duration, parseDuration } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";

/** What one optimizer step consumes. */
export type StepFacts = {
  readonly globalBatchSize: number;
  readonly seqLen: number;
  /** Windows of the training data, the samples of one epoch; null for a stream, which counts its passes itself. */
  readonly windowCount: number | null;
};

export type Progress = {
  /** Optimizer steps completed. */
  readonly step: number;
  readonly tokens: number;
  /** Seconds of training. */
  readonly time: number;
};

/** Recipes that stream have no duration in passes: the check refuses it. */
function windowsOfPass({ windowCount }: StepFacts): number {
  if (windowCount === null) {
    throw new AppError(
      "RECIPE_INVALID",
      "The passes over a stream cannot be counted ahead; give durations in ba or tok.",
    );
  }
  return windowCount;
}

/**
 * Composer's multiplier of the configured rate, all times in one unit: rises linearly from 0 at t = 0 to 1 at tWarmup,
 * then falls as half a cosine to alphaF at tMax and stays there. `t` counts what is completed, so the first update of a
 * run with a warm-up has the rate 0.
 */
export function cosineWithWarmup(options: {
  readonly t: number;
  readonly tWarmup: number;
  readonly tMax: number;
  readonly alphaF: number;
}): number {
  const { t, tWarmup, tMax, alphaF } = options;
  if (t < tWarmup) {
    return t / tWarmup;
  }
  const fraction = tMax > tWarmup ? Math.min(1, (t - tWarmup) / (tMax - tWarmup)) : 0;
  return alphaF + (1 - alphaF) * 0.5 * (1 + Math.cos(Math.PI * fraction));
}

/** A duration in optimizer steps, not rounded; undefined for seconds, which only the clock can tell. */
export function durationInSteps(duration: Duration, facts: StepFacts): number | undefined {
  switch (duration.unit) {
    case "ba":
      return duration.value;
    case "ep":
      return (duration.value * windowsOfPass(facts)) / facts.globalBatchSize;
    case "tok":
      return duration.value / (facts.globalBatchSize * facts.seqLen);
    case "sec":
      return undefined;
    default:
      return duration.unit satisfies never;
  }
}

/** The last step of a run: the first that reaches its duration. Null where only the clock can tell. */
export function totalSteps(maxDuration: Duration, facts: StepFacts): number | null {
  switch (maxDuration.unit) {
    case "ba":
      return maxDuration.value;
    case "ep":
      return Math.ceil((maxDuration.value * windowsOfPass(facts)) / facts.globalBatchSize);
    case "tok":
      return Math.ceil(maxDuration.value / (facts.globalBatchSize * facts.seqLen));
    case "sec":
      return null;
    default:
      return maxDuration.unit satisfies never;
  }
}

export function isFinished(maxDuration: Duration, facts: StepFacts, progress: Progress): boolean {
  const last = totalSteps(maxDuration, facts);
  return last === null ? progress.time >= maxDuration.value : progress.step >= last;
}

/**
 * The rate of the update that follows `progress.step` completed ones. With a duration in seconds the fall follows the
 * clock (and such a run cannot be repeated exactly); the warm-up still counts steps.
 */
export function learningRate(options: {
  readonly lr: number;
  readonly tWarmup: Duration;
  readonly alphaF: number;
  readonly maxDuration: Duration;
  readonly facts: StepFacts;
  readonly progress: Progress;
}): number {
  const { lr, alphaF, maxDuration, facts, progress } = options;
  const warmupSteps = durationInSteps(options.tWarmup, facts) ?? 0;
  const maxSteps = durationInSteps(maxDuration, facts);
  if (maxSteps !== undefined) {
    return lr * cosineWithWarmup({ t: progress.step, tWarmup: warmupSteps, tMax: maxSteps, alphaF });
  }
  if (progress.step < warmupSteps) {
    return lr * (progress.step / warmupSteps);
  }
  return lr * cosineWithWarmup({ t: progress.time, tWarmup: 0, tMax: maxDuration.value, alphaF });
}

/** Whether an interval's boundary was crossed by going from `before` to `after`. */
export function isDue(interval: Duration, facts: StepFacts, before: Progress, after: Progress): boolean {
  const count = (progress: Progress): number => {
    switch (interval.unit) {
      case "ba":
        return Math.floor(progress.step / interval.value);
      case "ep":
        return Math.floor((progress.step * facts.globalBatchSize) / (interval.value * windowsOfPass(facts)));
      case "tok":
        return Math.floor(progress.tokens / interval.value);
      case "sec":
        return Math.floor(progress.time / interval.value);
      default:
        return interval.unit satisfies never;
    }
  };
  return count(after) > count(before);
}

/** Passes over the training data, with fraction. */
export function epochOf(step: number, facts: StepFacts): number {
  return (step * facts.globalBatchSize) / windowsOfPass(facts);
}

/** True where it is plain that a run is over before it goes on; passes and seconds are the runner's to count. */
export function isReached(duration: string, { step, tokens }: Pick<Progress, "step" | "tokens">): boolean {
  const { value, unit } = parseDuration(duration);
  return (unit === "ba" && value <= step) || (unit === "tok" && value <= tokens);
}
