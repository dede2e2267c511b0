// Brings shards onto this disk before they are needed, and takes those away that are needed last when the limit is
// reached: the order is known, so what to keep is no guess.
import { AppError } from "#shared/errors";
import type { BlockPlace, BlockWalk } from "./block-walk.ts";
import type { ShardUse } from "./prepare-shard.ts";
import type { ShardCache } from "./shard-cache.ts";
import type { StreamShard } from "./sources.ts";
import type { StreamThread } from "./stream-thread.ts";

const LARGEST_PREPARING_COUNT = 4;
/** Of stored shards that are in memory together; one larger than this comes alone. */
const LARGEST_PREPARING_BYTES = 512 * 1024 * 1024;

const passing: ReadonlySet<string> = new Set(["FETCH_UNREACHABLE", "FETCH_FAILED"]);

export type SupplyOptions = {
  readonly shards: readonly StreamShard[];
  readonly walk: BlockWalk;
  readonly cache: ShardCache;
  readonly thread: StreamThread;
  readonly limitBytes: number;
  readonly predownloadShards: number;
  readonly useOf: (shard: StreamShard) => ShardUse;
  readonly onNotice: (sentence: string) => void;
};

type Waiter = { readonly resolve: () => void; readonly reject: (error: unknown) => void };

export class ShardSupply {
  readonly #options: SupplyOptions;
  /** The numbers of the shards that hold the same. */
  readonly #numbers = new Map<string, number[]>();
  #place: BlockPlace = { epoch: 0, block: 0 };
  /** In the order of need. */
  #wanted: readonly string[] = [];
  /** Of this block and the next: never taken away. */
  #kept: ReadonlySet<string> = new Set();
  #current: ReadonlySet<string> = new Set();
  /** With the bytes it will have, by what is known so far. */
  readonly #preparing = new Map<string, number>();
  readonly #failures = new Map<string, unknown>();
  readonly #verified = new Set<string>();
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #fresh = new Set<string>();
  /** Sizes of what was prepared once, whether or not it still lies there. */
  readonly #learned = new Map<string, number>();
  readonly #seen = { preparedBytes: 0, rawBytes: 0 };
  #tending: Promise<void> = Promise.resolve();
  #ended: unknown = null;
  hits = 0;

  constructor(options: SupplyOptions) {
    this.#options = options;
    for (const [number, { name }] of options.shards.entries()) {
      this.#numbers.set(name, [...(this.#numbers.get(name) ?? []), number]);
    }
  }

  #shard(number: number): StreamShard {
    const shard = this.#options.shards[number];
    if (shard === undefined) {
      throw new AppError("BAD_ARGUMENT", `There is no shard ${number}.`);
    }
    return shard;
  }

  #named(name: string): StreamShard {
    return this.#shard(this.#numbers.get(name)?.[0] ?? -1);
  }

  /** This block is needed now, then those after it. */
  moveTo(place: BlockPlace): void {
    const { walk, predownloadShards } = this.#options;
    this.#place = place;
    const current = walk.shardsOf(place);
    const ahead: number[] = [];
    for (const number of walk.shardsFrom(walk.after(place))) {
      // After so many everything was named.
      if (ahead.length >= Math.min(predownloadShards, walk.shardCount)) {
        break;
      }
      ahead.push(number);
    }
    const namesOf = (numbers: readonly number[]) => new Set(numbers.map((number) => this.#shard(number).name));
    this.#current = namesOf(current);
    this.#kept = namesOf([...current, ...walk.shardsOf(walk.after(place))]);
    this.#wanted = [...namesOf([...current, ...ahead])];
    this.#tending = this.#tending.then(() => this.#options.cache.refresh()).catch((error: unknown) => this.end(error));
    this.#tend();
  }

  /** Until it lies on the disk; counts whether it did before. */
  async wait(number: number): Promise<void> {
    const { name } = this.#shard(number);
    await new Promise<void>((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      this.#waiters.set(name, [...(this.#waiters.get(name) ?? []), { resolve, reject }]);
      this.#tend();
    });
    if (!this.#fresh.delete(name)) {
      this.hits += 1;
    }
  }

  /** What lies there cannot be used: it is made again. */
  async discard(number: number): Promise<void> {
    const { name } = this.#shard(number);
    this.#verified.delete(name);
    await this.#options.cache.remove(name);
  }

  /** Everybody who waits is told. */
  end(error: unknown): void {
    this.#ended ??= error;
    for (const name of this.#waiters.keys()) {
      this.#settle(name, ({ reject }) => reject(error));
    }
  }

  /** When nothing touches the folder any more. */
  idle(): Promise<void> {
    return this.#tending;
  }

  #settle(name: string, tell: (waiter: Waiter) => void): void {
    const waiters = this.#waiters.get(name) ?? [];
    this.#waiters.delete(name);
    for (const waiter of waiters) {
      tell(waiter);
    }
  }

  /** One round after the other; a round sees what the last one left. */
  #tend(): void {
    this.#tending = this.#tending.then(() => this.#round()).catch((error: unknown) => this.end(error));
  }

  #isThere(name: string): boolean {
    return this.#options.useOf(this.#named(name)) === "verify"
      ? this.#verified.has(name)
      : this.#options.cache.has(name);
  }

  async #round(): Promise<void> {
    const { cache } = this.#options;
    for (const name of this.#waiters.keys()) {
      // Another process may have taken it away.
      if (this.#options.useOf(this.#named(name)) !== "verify" && cache.has(name)) {
        await cache.look(name);
      }
      if (this.#isThere(name)) {
        this.#settle(name, ({ resolve }) => resolve());
      } else if (this.#failures.has(name)) {
        const failure = this.#failures.get(name);
        this.#failures.delete(name);
        this.#settle(name, ({ reject }) => reject(failure));
      }
    }
    await this.#makeRoom(0, Number.POSITIVE_INFINITY);
    for (const name of new Set([...this.#waiters.keys(), ...this.#wanted])) {
      if (this.#ended !== null || this.#preparing.size >= LARGEST_PREPARING_COUNT) {
        return;
      }
      if (this.#isThere(name) || this.#preparing.has(name) || this.#failures.has(name)) {
        continue;
      }
      if (!(await this.#begin(name))) {
        return;
      }
    }
  }

  /** False where there is no room for it, or for its like in memory. */
  async #begin(name: string): Promise<boolean> {
    const { cache, thread, useOf } = this.#options;
    const shard = this.#named(name);
    const use = useOf(shard);
    if (use !== "verify" && (await cache.look(name))) {
      this.#tend();
      return true;
    }
    const inMemory = [...this.#preparing.keys()].reduce((sum, each) => sum + memoryOf(this.#named(each)), 0);
    if (this.#preparing.size > 0 && inMemory + memoryOf(shard) > LARGEST_PREPARING_BYTES) {
      return false;
    }
    const bytes = use === "verify" ? 0 : this.#expectedBytes(name);
    const isUrgent = this.#waiters.has(name) || this.#kept.has(name);
    if (!(await this.#makeRoom(bytes, this.#distance(name))) && !isUrgent) {
      return false;
    }
    this.#preparing.set(name, bytes);
    thread.prepare({ shard, use, target: cache.pathOf(name) }).then(
      () => this.#prepared(name, use),
      (error: unknown) => this.#failed(name, error),
    );
    return true;
  }

  async #prepared(name: string, use: ShardUse): Promise<void> {
    this.#fresh.add(name);
    if (use === "verify") {
      this.#verified.add(name);
    } else {
      const { cache } = this.#options;
      await cache.look(name);
      this.#learned.set(name, cache.sizeOf(name));
      this.#seen.preparedBytes += cache.sizeOf(name);
      this.#seen.rawBytes += this.#named(name).entry.raw_data.bytes;
    }
    this.#preparing.delete(name);
    this.#tend();
  }

  #failed(name: string, error: unknown): void {
    this.#preparing.delete(name);
    const isPassing = error instanceof AppError && passing.has(error.code);
    if (this.#ended === null && isPassing && !this.#current.has(name)) {
      // The network may be back when its turn comes: until then it is left alone.
      this.#wanted = this.#wanted.filter((each) => each !== name);
      this.#options.onNotice(`${error.message} It is tried again when its turn comes.`);
    } else {
      this.#failures.set(name, error);
    }
    this.#tend();
  }

  #expectedBytes(name: string): number {
    const known = this.#learned.get(name);
    const { rawBytes, preparedBytes } = this.#seen;
    return known ?? this.#named(name).entry.raw_data.bytes * (rawBytes === 0 ? 1 : preparedBytes / rawBytes);
  }

  #distance(name: string): number {
    const numbers = this.#numbers.get(name);
    return numbers === undefined
      ? Number.POSITIVE_INFINITY // another stream's
      : Math.min(...numbers.map((number) => this.#options.walk.distance(number, this.#place)));
  }

  /** Takes away what is needed later than `distance`, the last needed first, until so many bytes fit. */
  async #makeRoom(bytes: number, distance: number): Promise<boolean> {
    const { cache, limitBytes } = this.#options;
    const coming = [...this.#preparing.values()].reduce((sum, each) => sum + each, bytes);
    const isOver = () => cache.totalBytes + coming > limitBytes;
    if (!isOver()) {
      return true;
    }
    const isTrimming = bytes === 0;
    const removable = [...cache.names]
      .filter((name) => !this.#kept.has(name) && !this.#waiters.has(name))
      .map((name) => ({ name, distance: this.#distance(name) }))
      .filter((each) => isTrimming || each.distance > distance)
      .toSorted((a, b) => b.distance - a.distance);
    for (const { name } of removable) {
      if (!isOver()) {
        break;
      }
      await cache.remove(name);
    }
    return !isOver();
  }
}

/** While it is fetched and unpacked. */
function memoryOf({ entry, candidates }: StreamShard): number {
  const [file] = candidates;
  return entry.raw_data.bytes + (file === undefined || file === entry.raw_data ? 0 : file.bytes);
}
