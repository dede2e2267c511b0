// Words as duplicates and overlaps are counted in: runs of letters and digits, lower case. And their hashes, two of 32 bits
// each, so that a run of words can be looked up at any length without being written out.

const word = /[\p{L}\p{N}]+/gu;

export type Words = {
  readonly count: number;
  /** Where each begins and ends in the text, in UTF-16 units: start, end, start, end, … */
  readonly spans: Uint32Array;
  readonly hashes: Uint32Array;
};

/** Scrambles all 32 bits (Wellons' lowbias32, as in the data order). */
export function mix32(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
}

/** FNV-1a over UTF-16 units, scrambled. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return mix32(hash);
}

export function wordsOf(text: string): Words {
  const spans: number[] = [];
  const hashes: number[] = [];
  for (const found of text.matchAll(word)) {
    const [own] = found;
    spans.push(found.index, found.index + own.length);
    hashes.push(hashOf(own.toLowerCase()));
  }
  return { count: hashes.length, spans: Uint32Array.from(spans), hashes: Uint32Array.from(hashes) };
}

const BASE_A = 0x9e3779b1;
const BASE_B = 0x85ebca6b;

/** Hashes of runs of words, by two polynomials modulo 2^32: a run of any length from any place in constant time. */
export class RunHashes {
  readonly #a: Uint32Array;
  readonly #b: Uint32Array;
  readonly #powers = new Map<number, readonly [number, number]>();

  constructor(words: Words) {
    this.#a = new Uint32Array(words.count + 1);
    this.#b = new Uint32Array(words.count + 1);
    for (let at = 0; at < words.count; at += 1) {
      const hash = words.hashes[at] ?? 0;
      this.#a[at + 1] = Math.imul(this.#a[at] ?? 0, BASE_A) + hash;
      this.#b[at + 1] = Math.imul(this.#b[at] ?? 0, BASE_B) + mix32(hash + 0x5bd1e995);
    }
  }

  #power(length: number): readonly [number, number] {
    let power = this.#powers.get(length);
    if (power === undefined) {
      let a = 1;
      let b = 1;
      for (let at = 0; at < length; at += 1) {
        a = Math.imul(a, BASE_A);
        b = Math.imul(b, BASE_B);
      }
      power = [a, b];
      this.#powers.set(length, power);
    }
    return power;
  }

  /** One half of the 64 bits that stand for words[from … from + length - 1]. */
  high(from: number, length: number): number {
    const [a] = this.#power(length);
    return mix32((this.#a[from + length] ?? 0) - Math.imul(this.#a[from] ?? 0, a));
  }

  low(from: number, length: number): number {
    const [, b] = this.#power(length);
    return mix32((this.#b[from + length] ?? 0) - Math.imul(this.#b[from] ?? 0, b));
  }
}
