// Which documents repeat others: the same text, by hash; nearly the same, by bands of their signatures and then by the
// runs of words themselves. The order of the documents and the rules decide alone, so the answer is always the same.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { eachRepeat, NOBODY } from "../repeats.ts";
import { estimateSimilarity, runsOf, similarityOf } from "./minhash.ts";
import type { CleanRules } from "./rules.ts";
import { BAND_BYTES, type Survivors, TEXT_HASH_BYTES } from "./survivors.ts";
import { wordsOf } from "./words.ts";

/** For every document NOBODY, or the earlier one that has its text. */
export async function findExactDuplicates(survivors: Survivors): Promise<Uint32Array> {
  const original = new Uint32Array(survivors.count).fill(NOBODY);
  await eachRepeat({
    files: [survivors.textsFile],
    stride: TEXT_HASH_BYTES,
    records: survivors.count,
    onRecord: (record, previous) => {
      if (previous !== NOBODY) {
        const first = original[previous] ?? NOBODY;
        original[record] = first === NOBODY ? previous : first;
      }
    },
  });
  return original;
}

export type NearCluster = {
  readonly kept: readonly number[];
  readonly dropped: readonly { readonly document: number; readonly like: number; readonly similarity: number }[];
};

/** In one band, a document is compared with so many earlier ones that share it. */
const COMPARED_IN_BAND = 16;
/** The estimate of the signatures may be off by as much. */
const ESTIMATE_SLACK = 0.15;
const CACHED_SETS = 64;

class Comparison {
  readonly #survivors: Survivors;
  readonly #runWords: number;
  readonly #sets = new Map<number, ReadonlySet<number>>();

  constructor(survivors: Survivors, runWords: number) {
    this.#survivors = survivors;
    this.#runWords = runWords;
  }

  #runs(document: number): ReadonlySet<number> {
    const known = this.#sets.get(document);
    if (known !== undefined) {
      return known;
    }
    const runs = runsOf(wordsOf(this.#survivors.document(document).text), this.#runWords);
    this.#sets.set(document, runs);
    const [oldest] = this.#sets.keys();
    if (this.#sets.size > CACHED_SETS && oldest !== undefined) {
      this.#sets.delete(oldest);
    }
    return runs;
  }

  similarity(a: number, b: number): number {
    return similarityOf(this.#runs(a), this.#runs(b));
  }

  isAlike(a: number, b: number, least: number): boolean {
    const estimate = estimateSimilarity(this.#survivors.signature(a), this.#survivors.signature(b));
    return estimate >= least - ESTIMATE_SLACK && this.similarity(a, b) >= least;
  }
}

/** Who belongs together: union of sets, the lowest number stands for all. */
class Groups {
  readonly #parent: Uint32Array;

  constructor(count: number) {
    this.#parent = Uint32Array.from({ length: count }, (_, at) => at);
  }

  find(document: number): number {
    let root = document;
    while (this.#parent[root] !== root) {
      root = this.#parent[root] ?? root;
    }
    for (let at = document; at !== root; ) {
      const next = this.#parent[at] ?? root;
      this.#parent[at] = root;
      at = next;
    }
    return root;
  }

  join(a: number, b: number): void {
    const [low, high] = [this.find(a), this.find(b)].toSorted((x, y) => x - y);
    if (low !== undefined && high !== undefined) {
      this.#parent[high] = low;
    }
  }
}

function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new AppError("CANCELLED", "The cleaning was cancelled; nothing was written.");
  }
}

/** Clusters in the order of their first documents. `original` is what findExactDuplicates found: those are left aside. */
export async function findNearDuplicates(
  survivors: Survivors,
  original: Uint32Array,
  rule: NonNullable<CleanRules["near_duplicates"]>,
  options: {
    readonly signal?: CancelSignal | undefined;
    readonly onProgress?: ((done: number, total: number) => void) | undefined;
  } = {},
): Promise<readonly NearCluster[]> {
  const comparison = new Comparison(survivors, rule.run_words);
  const groups = new Groups(survivors.count);
  const before = new Uint32Array(survivors.count);
  for (const [band, file] of survivors.bandFiles.entries()) {
    before.fill(NOBODY);
    await eachRepeat({
      files: [file],
      stride: BAND_BYTES,
      records: survivors.count,
      onRecord: (record, previous) => {
        before[record] = previous;
        if (original[record] !== NOBODY) {
          return;
        }
        let other = previous;
        for (let compared = 0; other !== NOBODY && compared < COMPARED_IN_BAND; ) {
          if (original[other] === NOBODY) {
            compared += 1;
            if (groups.find(other) !== groups.find(record) && comparison.isAlike(record, other, rule.similarity)) {
              groups.join(record, other);
            }
          }
          other = before[other] ?? NOBODY;
        }
      },
    });
    throwIfCancelled(options.signal);
    options.onProgress?.(band + 1, survivors.bandFiles.length);
  }
  return settleClusters(survivors, groups, comparison, rule);
}

/** Members of groups of two and more, those of one group side by side. */
function groupedMembers(count: number, groups: Groups): BigUint64Array {
  const sizes = new Uint32Array(count);
  for (let document = 0; document < count; document += 1) {
    const root = groups.find(document);
    sizes[root] = (sizes[root] ?? 0) + 1;
  }
  let total = 0;
  for (const size of sizes) {
    total += size > 1 ? size : 0;
  }
  const members = new BigUint64Array(total);
  let at = 0;
  for (let document = 0; document < count; document += 1) {
    const root = groups.find(document);
    if ((sizes[root] ?? 0) > 1) {
      members[at] = (BigInt(root) << 32n) | BigInt(document);
      at += 1;
    }
  }
  return members.toSorted();
}

/** Members of one cluster compared with at most so many that are kept. */
const COMPARED_WITH_KEPT = 64;

function settleClusters(
  survivors: Survivors,
  groups: Groups,
  comparison: Comparison,
  rule: NonNullable<CleanRules["near_duplicates"]>,
): readonly NearCluster[] {
  const clusters: NearCluster[] = [];
  const members = groupedMembers(survivors.count, groups);
  for (let from = 0; from < members.length; ) {
    let to = from;
    const root = (members[from] ?? 0n) >> 32n;
    while (to < members.length && (members[to] ?? 0n) >> 32n === root) {
      to += 1;
    }
    const documents = Array.from(members.subarray(from, to), (member) => Number(member & 0xffff_ffffn));
    from = to;
    const ordered =
      rule.keep === "first"
        ? documents
        : documents
            .map((document) => ({ document, words: survivors.words(document) }))
            .toSorted((a, b) => b.words - a.words || a.document - b.document)
            .map(({ document }) => document);
    clusters.push(settleCluster(ordered, comparison, rule.similarity));
  }
  return clusters;
}

/** One goes only where it is like one that stays: being like something that goes is not enough. */
function settleCluster(ordered: readonly number[], comparison: Comparison, least: number): NearCluster {
  const kept: number[] = [];
  const dropped: { document: number; like: number; similarity: number }[] = [];
  for (const document of ordered) {
    let best: { like: number; similarity: number } | null = null;
    for (const like of kept.slice(0, COMPARED_WITH_KEPT)) {
      const similarity = comparison.similarity(document, like);
      if (similarity >= least && similarity > (best?.similarity ?? 0)) {
        best = { like, similarity };
      }
    }
    if (best === null) {
      kept.push(document);
    } else {
      dropped.push({ document, ...best });
    }
  }
  return { kept, dropped };
}
