// A block of a stream that lies on this disk: its shards mapped, its windows numbered through and visited in their order.
import { type EpochPermutation, windowAt } from "#shared/domain/data-order";
import { blockPermutation } from "#shared/domain/stream-order";
import type { NativeTokenText } from "../engine/addon.ts";
import type { BlockPlace } from "./block-walk.ts";

type LoadedShard = { readonly text: NativeTokenText; readonly firstWindow: number };

export class LoadedBlock {
  readonly place: BlockPlace;
  readonly windowCount: number;
  /** By shard, in the block's order. */
  readonly windowsOfShards: readonly number[];
  readonly #shards: readonly LoadedShard[];
  readonly #seqLen: number;
  readonly #order: EpochPermutation | null;

  constructor(place: BlockPlace, texts: readonly NativeTokenText[], seqLen: number, seed: number) {
    this.place = place;
    this.#seqLen = seqLen;
    this.windowsOfShards = texts.map((text) => text.windowCount(seqLen));
    let windowCount = 0;
    this.#shards = texts.map((text, index) => {
      const shard = { text, firstWindow: windowCount };
      windowCount += this.windowsOfShards[index] ?? 0;
      return shard;
    });
    this.windowCount = windowCount;
    this.#order = windowCount === 0 ? null : blockPermutation(windowCount, seed, place.epoch, place.block);
  }

  /** The shard that holds a window: the last one that begins at it or before it. */
  #shardOf(window: number): number {
    let low = 0;
    let high = this.#shards.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#shards[middle]?.firstWindow ?? 0) <= window) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /** The windows `from` … `from + count - 1` of the order, as rows `row` … of `out`. */
  copy(from: number, count: number, out: Int32Array, row: number): void {
    const order = this.#order;
    if (order === null) {
      return;
    }
    const wanted = new Map<number, { readonly windows: number[]; readonly rows: number[] }>();
    for (let index = 0; index < count; index += 1) {
      const window = windowAt(order, from + index);
      const shard = this.#shardOf(window);
      const list = wanted.get(shard) ?? { windows: [], rows: [] };
      list.windows.push(window - (this.#shards[shard]?.firstWindow ?? 0));
      list.rows.push(row + index);
      wanted.set(shard, list);
    }
    for (const [shard, { windows, rows }] of wanted) {
      this.#shards[shard]?.text.copyWindows(Uint32Array.from(windows), this.#seqLen, out, Uint32Array.from(rows));
    }
  }

  /** Where the window at a place of the order lies: the shard by its place in the block, and its first token there. */
  locate(at: number): { readonly index: number; readonly firstToken: number } {
    const window = this.#order === null ? 0 : windowAt(this.#order, at);
    const index = this.#shardOf(window);
    return { index, firstToken: (window - (this.#shards[index]?.firstWindow ?? 0)) * this.#seqLen };
  }

  close(): void {
    for (const { text } of this.#shards) {
      text.close();
    }
  }
}
