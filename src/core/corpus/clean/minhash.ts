// Signatures of sets of word runs (MinHash): two documents share each of the 128 numbers with the probability that is the
// similarity of their sets. Bands of some of these numbers find candidates; how wide they are follows from the similarity
// that is asked for, so that of the pairs that are just as similar at least 99 in 100 share a band. What shares a band is
// then compared itself.
import { mix32, RunHashes, type Words } from "./words.ts";

export const SIGNATURE_HASHES = 128;

export type Banding = { readonly bands: number; readonly hashes: number };

/** Wide bands meet by chance less often, narrow ones miss less: 1 - (1 - s^hashes)^bands is the share found at s. */
export function bandingFor(similarity: number): Banding {
  const hashes = similarity >= 0.9 ? 8 : similarity >= 0.7 ? 5 : 3;
  return { bands: Math.floor(SIGNATURE_HASHES / hashes), hashes };
}

/** Odd multipliers and offsets, from one seed: the same signatures everywhere, always. */
const multipliers = Uint32Array.from({ length: SIGNATURE_HASHES }, (_, at) => mix32(2 * at + 0x1234_5678) | 1);
const offsets = Uint32Array.from({ length: SIGNATURE_HASHES }, (_, at) => mix32(2 * at + 0x1234_5679));

/** The runs of words of a text, as numbers of 53 bits. A text shorter than a run is one run. */
export function runsOf(words: Words, runWords: number): Set<number> {
  const runs = new RunHashes(words);
  const length = Math.min(runWords, words.count);
  const set = new Set<number>();
  const count = length === 0 ? 0 : words.count - length + 1;
  for (let from = 0; from < count; from += 1) {
    set.add(runs.high(from, length) * 2 ** 21 + (runs.low(from, length) >>> 11));
  }
  return set;
}

export function signatureOf(runs: ReadonlySet<number>): Uint32Array {
  const signature = new Uint32Array(SIGNATURE_HASHES).fill(0xffff_ffff);
  for (const run of runs) {
    const hash = mix32(Math.floor(run / 2 ** 21) ^ ((run % 2 ** 21) << 11));
    for (let at = 0; at < SIGNATURE_HASHES; at += 1) {
      const value = (Math.imul(hash, multipliers[at] ?? 1) + (offsets[at] ?? 0)) >>> 0;
      if (value < (signature[at] ?? 0)) {
        signature[at] = value;
      }
    }
  }
  return signature;
}

/** The eight bytes that stand for a band of a signature. */
export function writeBand(into: Buffer, at: number, signature: Uint32Array, band: number, hashes: number): void {
  let high = mix32(band + 1);
  let low = mix32(band + 0x1_0001);
  for (let each = band * hashes; each < (band + 1) * hashes; each += 1) {
    high = mix32(Math.imul(high, 31) + (signature[each] ?? 0));
    low = mix32(Math.imul(low, 0x0100_0193) ^ (signature[each] ?? 0));
  }
  into.writeUInt32LE(high, at);
  into.writeUInt32LE(low, at + 4);
}

/** The share of numbers that both have: the similarity, but for chance (about 0.04 either way). */
export function estimateSimilarity(a: Uint32Array, b: Uint32Array): number {
  let same = 0;
  for (let at = 0; at < SIGNATURE_HASHES; at += 1) {
    if (a[at] === b[at]) {
      same += 1;
    }
  }
  return same / SIGNATURE_HASHES;
}

/** What both sets hold, of what either does. */
export function similarityOf(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  let shared = 0;
  for (const each of small) {
    if (large.has(each)) {
      shared += 1;
    }
  }
  const all = a.size + b.size - shared;
  return all === 0 ? 0 : shared / all;
}
