// `device_train_microbatch_size: auto`: the largest divisor of the global batch whose training fits into the memory that
// is there now. The plan is the engine's own arithmetic, so nothing is tried out.

/** Of the memory that is available: the rest is for page cache, checkpoints on their way to the disk, and everyone else. */
export const USABLE_SHARE = 0.8;

/** Of a GPU's free memory: the rest is for libraries and for what is recorded. */
export const USABLE_SHARE_OF_GPU = 0.92;

/** The divisors of a batch, largest first. */
export function divisorsOf(batch: number): readonly number[] {
  const small: number[] = [];
  const large: number[] = [];
  for (let divisor = 1; divisor * divisor <= batch; divisor += 1) {
    if (batch % divisor === 0) {
      small.push(divisor);
      if (divisor * divisor !== batch) {
        large.push(batch / divisor);
      }
    }
  }
  return [...large, ...small.toReversed()];
}

/** `bytesFor` is what training with so many windows takes in all; it grows with them. 1 where nothing fits. */
export function largestMicrobatch(
  batch: number,
  availableBytes: number,
  bytesFor: (microbatch: number) => number,
  usableShare = USABLE_SHARE,
): number {
  const budget = availableBytes * usableShare;
  return divisorsOf(batch).find((divisor) => divisor === 1 || bytesFor(divisor) <= budget) ?? 1;
}

/** The next smaller one to try when the memory was not there after all; null below 1. */
export function nextSmallerMicrobatch(batch: number, microbatch: number): number | null {
  return divisorsOf(batch).find((divisor) => divisor <= Math.max(1, microbatch / 2) && divisor < microbatch) ?? null;
}
