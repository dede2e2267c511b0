// The order in which training sees its windows (docs/formats/data-order.md): a keyed permutation of each epoch that
// can be indexed at any point. The engine's data-order.cpp and bench/parity/data_order.py say the same;
// test/golden/data-order.json holds the three together. All arithmetic is on unsigned 32-bit integers.

const ROUNDS = 8;
const GOLDEN = 0x9e3779b9;
const MAX_WINDOW_COUNT = 0xffff_ffff;

/** Wellons' lowbias32, a bijection of 32 bits. */
function mix32(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
}

/** How many windows of `seqLen` + 1 tokens, stepping by `seqLen`, a text of `tokenCount` tokens holds. */
export function windowCount(tokenCount: number, seqLen: number): number {
  return tokenCount < 1 ? 0 : Math.floor((tokenCount - 1) / seqLen);
}

export type EpochPermutation = {
  readonly windowCount: number;
  readonly halfBits: number;
  readonly roundKeys: readonly number[];
};

/** The key schedule of one epoch. `seed` is a whole number below 2^53, `windowCount` one from 1 to 2^32 - 1. */
export function epochPermutation(windowCount: number, seed: number, epoch: number): EpochPermutation {
  return keyedPermutation(windowCount, seed, 0, epoch);
}

/** Of the seed whose high 32 bits are changed by `highXor`: an order of its own beside the seed's. */
export function keyedPermutation(windowCount: number, seed: number, highXor: number, epoch: number): EpochPermutation {
  if (!Number.isInteger(windowCount) || windowCount < 1 || windowCount > MAX_WINDOW_COUNT) {
    throw new RangeError(`A data order holds 1 to ${MAX_WINDOW_COUNT} windows, not ${windowCount}.`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`A seed is a whole number from 0 to 2^53 - 1, not ${seed}.`);
  }
  let halfBits = 1;
  while (2 ** (2 * halfBits) < windowCount) {
    halfBits += 1;
  }
  let key = mix32((seed % 2 ** 32) + GOLDEN);
  key = mix32(key ^ Math.floor(seed / 2 ** 32) ^ highXor);
  key = mix32(key + epoch);
  const roundKeys = Array.from({ length: ROUNDS }, (_, round) => mix32(key + Math.imul(round + 1, GOLDEN)));
  return { windowCount, halfBits, roundKeys };
}

function encipher(permutation: EpochPermutation, value: number): number {
  const { halfBits, roundKeys } = permutation;
  const mask = (1 << halfBits) - 1;
  let left = value >>> halfBits;
  let right = value & mask;
  for (const roundKey of roundKeys) {
    const next = left ^ (mix32(right + roundKey) & mask);
    left = right;
    right = next;
  }
  return ((left << halfBits) | right) >>> 0;
}

/** The window at `position` (0 … windowCount - 1) of the epoch. */
export function windowAt(permutation: EpochPermutation, position: number): number {
  let value = position;
  do {
    value = encipher(permutation, value);
  } while (value >= permutation.windowCount);
  return value;
}

/** The window of sample `sample` of the endless sequence epoch 0, 1, 2, … */
export function windowOfSample(windowCount: number, seed: number, sample: number): number {
  const epoch = Math.floor(sample / windowCount);
  return windowAt(epochPermutation(windowCount, seed, epoch), sample % windowCount);
}
