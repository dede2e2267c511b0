// A stream that is open: where it is in its order, the block that it reads, and the batches it gathers from it.
import { createHash } from "node:crypto";
import path from "node:path";
import { epochOf, type StreamPosition, streamStart } from "#shared/domain/stream-order";
import { AppError } from "#shared/errors";
import { tokenShardOf } from "../corpus/mds/token-shard.ts";
import { loadAddon, type NativeTokenText } from "../engine/addon.ts";
import { type BlockPlace, BlockWalk } from "./block-walk.ts";
import { LoadedBlock } from "./loaded-block.ts";
import type { ShardCache } from "./shard-cache.ts";
import { ShardSupply } from "./shard-supply.ts";
import type { StreamShard, StreamSources } from "./sources.ts";
import { StreamThread } from "./stream-thread.ts";
import type { LocatedWindow, StreamCounters, StreamOptions, TokenStream } from "./token-stream.ts";

/** An epoch is a number of 32 bits, and the one after it is looked at, too. */
const LARGEST_EPOCH = 2 ** 32 - 1;

export type StreamTokenizer = { readonly vocabSize: number; readonly sha256: string };

export class OpenTokenStream implements TokenStream {
  readonly fingerprint: string;
  readonly shardCount: number;
  readonly totalBytes: number;
  readonly storedBytes: number;
  readonly isPreTokenized: boolean;
  readonly #options: StreamOptions;
  readonly #shards: readonly StreamShard[];
  readonly #vocabSize: number;
  readonly #indexRequests: number;
  readonly #cache: ShardCache;
  readonly #thread: StreamThread;
  readonly #supply: ShardSupply;
  readonly #walk: BlockWalk;
  /** By shard, of those that were opened once. */
  readonly #windowsOfShards = new Map<number, number>();
  readonly #onAbort: () => void;
  #position: StreamPosition = streamStart;
  #block: LoadedBlock | null = null;
  #loading: { readonly place: BlockPlace; readonly block: Promise<LoadedBlock> } | null = null;
  #closing: Promise<void> | null = null;

  constructor(
    options: StreamOptions,
    sources: StreamSources,
    tokenizer: StreamTokenizer,
    cache: ShardCache,
    indexRequests: number,
  ) {
    const { seqLen, blockShards, seed } = options;
    this.#options = options;
    this.#shards = sources.shards;
    this.#vocabSize = tokenizer.vocabSize;
    this.#indexRequests = indexRequests;
    this.#cache = cache;
    this.shardCount = sources.shards.length;
    this.totalBytes = sources.totalBytes;
    this.storedBytes = sources.storedBytes;
    this.isPreTokenized = sources.isPreTokenized;
    const ids = sources.isPreTokenized ? options.tokenBytes : null;
    this.fingerprint = streamDigest([sources.contents, tokenizer.sha256, ids, seqLen, blockShards]);
    this.#walk = new BlockWalk(this.shardCount, blockShards, seed);
    this.#thread = new StreamThread({
      tokenizerFolder: options.tokenizerFolder,
      tokenizerSha256: tokenizer.sha256,
      vocabSize: tokenizer.vocabSize,
      isTokenizing: !sources.isPreTokenized,
      policy: options.policy,
    });
    this.#supply = new ShardSupply({
      shards: sources.shards,
      walk: this.#walk,
      cache,
      thread: this.#thread,
      limitBytes: options.cacheLimitBytes,
      predownloadShards: options.predownloadShards,
      useOf: (shard) => (!this.isPreTokenized ? "tokenize" : liesReady(shard) ? "verify" : "keep"),
      onNotice: options.onNotice,
    });
    this.#onAbort = () => {
      this.#supply.end(new AppError("CANCELLED", "Streaming was cancelled."));
      void this.close();
    };
    options.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  seek(position: StreamPosition): void {
    const { epoch, block, window } = position;
    const isWhole = [epoch, block, window].every((number) => Number.isSafeInteger(number) && number >= 0);
    if (!isWhole || epoch >= LARGEST_EPOCH || block >= this.#walk.blocks) {
      throw new AppError(
        "CHECKPOINT_MISMATCH",
        `The stream has no place ${JSON.stringify(position)}: an epoch has ${this.#walk.blocks} blocks; resume with the shards and the data.streaming.shuffle_block_shards that the run began with.`,
      );
    }
    this.#position = position;
    this.#begin({ epoch, block });
  }

  async ready(): Promise<void> {
    await this.#settle();
  }

  async next(count: number, out: Int32Array): ReturnType<TokenStream["next"]> {
    if (out.length !== count * (this.#options.seqLen + 1)) {
      throw new AppError("BATCH_SHAPE_MISMATCH", `A batch of ${count} windows does not have ${out.length} tokens.`);
    }
    let stallSeconds = 0;
    for (let row = 0; row < count; ) {
      const from = performance.now();
      const wasWaiting = this.#block === null || this.#position.window >= this.#block.windowCount;
      const block = await this.#settle();
      stallSeconds += wasWaiting ? (performance.now() - from) / 1000 : 0;
      const { window } = this.#position;
      const taken = Math.min(count - row, block.windowCount - window);
      block.copy(window, taken, out, row);
      row += taken;
      this.#position = { ...this.#position, window: window + taken };
    }
    const windows = this.#block?.windowCount ?? 0;
    const epoch = epochOf(this.#position, windows, this.#walk.blocks);
    return { position: this.#normal(), epoch, stallSeconds };
  }

  async locate(count: number): Promise<LocatedWindow> {
    for (let left = count; ; ) {
      left = this.#passOver(left);
      const block = await this.#settle();
      const window = this.#position.window + left;
      if (window < block.windowCount) {
        const { index, firstToken } = block.locate(window);
        const shard = this.#shard(this.#walk.shardsOf(block.place)[index] ?? -1);
        this.#position = { ...this.#position, window: window + 1 };
        return { shard, place: this.#placeOf(shard), firstToken, after: this.#normal() };
      }
      left = window - block.windowCount;
      this.#position = { ...this.#position, window: block.windowCount };
    }
  }

  /** Passes over epochs and blocks whose windows are known, as far as `count` goes; says how many windows are left. */
  #passOver(count: number): number {
    let left = count;
    let at = this.#position;
    const all = this.#windowsOfEpoch();
    if (all === 0) {
      return count; // the next block says that there are none
    }
    for (let windows = this.#windowsIn(at); windows !== null; windows = this.#windowsIn(at)) {
      if (all !== null && at.block === 0 && at.window === 0) {
        at = { ...at, epoch: at.epoch + Math.floor(left / all) };
        left %= all;
        windows = this.#windowsIn(at) ?? 0;
      }
      if (at.window + left < windows || at.window > windows) {
        break;
      }
      left -= windows - at.window;
      at = { ...this.#walk.after(at), window: 0 };
    }
    if (!Number.isSafeInteger(count) || at.epoch >= LARGEST_EPOCH) {
      throw new AppError("BAD_ARGUMENT", "The order of the shards does not reach so far; ask for an earlier step.");
    }
    if (at.epoch !== this.#position.epoch || at.block !== this.#position.block) {
      this.#drop();
    }
    this.#position = at;
    return left;
  }

  /** Null where a shard was not opened yet. */
  #windowsIn(place: BlockPlace): number | null {
    if (place.epoch >= LARGEST_EPOCH) {
      return null;
    }
    let windows = 0;
    for (const number of this.#walk.shardsOf(place)) {
      const counted = this.#windowsOfShards.get(number);
      if (counted === undefined) {
        return null;
      }
      windows += counted;
    }
    return windows;
  }

  /** Null until every shard was opened once. */
  #windowsOfEpoch(): number | null {
    return this.#windowsOfShards.size < this.shardCount
      ? null
      : [...this.#windowsOfShards.values()].reduce((sum, windows) => sum + windows, 0);
  }

  /** At the end of a block the beginning of the next one is the same place. */
  #normal(): StreamPosition {
    const isOver = this.#block !== null && this.#position.window >= this.#block.windowCount;
    return isOver ? { ...this.#walk.after(this.#position), window: 0 } : this.#position;
  }

  /** Drops what was read before. */
  #begin(place: BlockPlace): void {
    this.#drop();
    this.#supply.moveTo(place);
    const block = this.#load(place);
    block.catch(() => undefined); // whoever asks for the block is told
    this.#loading = { place, block };
  }

  #drop(): void {
    this.#block?.close();
    this.#block = null;
    this.#loading?.block.then((block) => block.close()).catch(() => undefined);
    this.#loading = null;
  }

  /** The block of the position, once it can be read and has a window left there. */
  async #settle(): Promise<LoadedBlock> {
    for (;;) {
      const block = this.#block ?? (await this.#arrive());
      const { window } = this.#position;
      if (window < block.windowCount) {
        return block;
      }
      if (window > block.windowCount) {
        throw new AppError(
          "CHECKPOINT_MISMATCH",
          `Window ${window} of a block that has ${block.windowCount} is no place of this stream; resume with the shards that the run began with.`,
        );
      }
      const after = this.#walk.after(block.place);
      this.#position = { ...after, window: 0 };
      this.#begin(after);
    }
  }

  async #arrive(): Promise<LoadedBlock> {
    if (this.#loading === null) {
      this.#begin(this.#position);
    }
    const loading = this.#loading;
    const block = await loading?.block;
    if (block === undefined || this.#loading !== loading) {
      throw new AppError("CANCELLED", "The stream was moved or closed while a batch was waited for.");
    }
    this.#loading = null;
    this.#block = block;
    return block;
  }

  async #load(place: BlockPlace): Promise<LoadedBlock> {
    const numbers = this.#walk.shardsOf(place);
    const opened = await Promise.allSettled(numbers.map((number) => this.#open(number)));
    const texts = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const failed = opened.find((each) => each.status === "rejected");
    if (failed !== undefined) {
      for (const text of texts) {
        text.close();
      }
      throw failed.reason;
    }
    const block = new LoadedBlock(place, texts, this.#options.seqLen, this.#options.seed);
    for (const [index, number] of numbers.entries()) {
      this.#windowsOfShards.set(number, block.windowsOfShards[index] ?? 0);
    }
    if (block.windowCount === 0 && this.#windowsOfEpoch() === 0) {
      block.close();
      throw new AppError(
        "TEXT_SHORTER_THAN_CONTEXT",
        `None of the ${this.shardCount} shards holds ${this.#options.seqLen + 1} tokens, which one window of max_seq_len ${this.#options.seqLen} needs; lower max_seq_len, or write larger shards.`,
      );
    }
    return block;
  }

  /** What cannot be opened was damaged, or taken away by another process, and is made again, once. */
  async #open(number: number): Promise<NativeTokenText> {
    const shard = this.#shard(number);
    for (let attempt = 1; ; attempt += 1) {
      await this.#supply.wait(number);
      const place = this.#placeOf(shard);
      try {
        return this.isPreTokenized
          ? loadAddon().openTokenShard(
              tokenShardOf(shard.entry, place, { tokenBytes: this.#options.tokenBytes, vocabSize: this.#vocabSize }),
            )
          : loadAddon().openTokenData(place);
      } catch (error) {
        if (attempt > 1 || liesReady(shard)) {
          throw error;
        }
        const reason = error instanceof Error ? error.message : String(error);
        this.#options.onNotice(`${place} cannot be used and is made again: ${reason}`);
        await this.#supply.discard(number);
      }
    }
  }

  #shard(number: number): StreamShard {
    const shard = this.#shards[number];
    if (shard === undefined) {
      throw new AppError("BAD_ARGUMENT", `There is no shard ${number}.`);
    }
    return shard;
  }

  #placeOf(shard: StreamShard): string {
    return this.isPreTokenized && liesReady(shard)
      ? path.join(shard.folder, shard.entry.raw_data.basename)
      : this.#cache.pathOf(shard.name);
  }

  counters(): StreamCounters {
    const { requests, bytes, retries, shards } = this.#thread.counts;
    return {
      requests: requests + this.#indexRequests,
      bytesFetched: bytes,
      retries,
      shardsFetched: shards,
      cacheBytes: this.#cache.totalBytes,
      hits: this.#supply.hits,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#supply.end(new AppError("CANCELLED", "The stream was closed."));
    this.#drop();
    await this.#thread.close();
    await this.#supply.idle();
  }
}

/** Raw tokens on this disk are mapped where they lie. */
function liesReady({ isRemote, entry, candidates }: StreamShard): boolean {
  return !isRemote && candidates[0] === entry.raw_data;
}

/** Changes with what a stream makes of its shards. */
const FORMAT_VERSION = 1;

export function streamDigest(parts: readonly unknown[]): string {
  return createHash("sha256")
    .update(JSON.stringify([FORMAT_VERSION, ...parts]))
    .digest("hex")
    .slice(0, 32);
}
