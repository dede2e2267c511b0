// Where training is: all that changes from step to step besides weights and moments.
import type { TrainingState } from "#core/runs/checkpoints";
import type { TrainingPlace, TrainingSource } from "#core/runs/training-source";

export type TrainingProgress = {
  /** Optimizer steps completed. */
  readonly step: number;
  readonly tokens: number;
  /** Seconds of training, pauses not counted. */
  readonly time: number;
  readonly place: TrainingPlace;
  /** The evaluation at exactly this step. */
  readonly evaluation: TrainingState["eval"];
  /** True when a stop came before this step's evaluation was done; a resume begins with it. */
  readonly isEvaluationDue: boolean;
  readonly best: TrainingState["best"];
};

export function beginning(training: TrainingSource): TrainingProgress {
  const place = training.placeAfter(0, null);
  return { step: 0, tokens: 0, time: 0, place, evaluation: null, isEvaluationDue: true, best: null };
}

/** Tokens a second from step times alone: evaluation and checkpoints do not count, and neither does one slow step. */
export class RateMeter {
  readonly #rates: number[] = [];

  add(tokens: number, seconds: number): void {
    this.#rates.push(tokens / Math.max(seconds, 1e-9));
    if (this.#rates.length > 21) {
      this.#rates.shift();
    }
  }

  /** The median of the last steps. */
  get tokensPerSecond(): number {
    const sorted = this.#rates.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }
}
