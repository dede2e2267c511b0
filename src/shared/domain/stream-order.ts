// The order in which training sees the windows of a stream of shards (docs/formats/data-order.md, "Streams"): shards are
// shuffled and cut into blocks, and the windows of a block are shuffled, so that only a block's shards are needed at once.
// bench/parity/data_order.py says the same; test/golden/stream-order.json holds the two together.
import { type EpochPermutation, keyedPermutation, windowAt } from "./data-order.ts";

/** The next sample is permuted window number `window` of block `block` of epoch `epoch`. */
export type StreamPosition = { readonly epoch: number; readonly block: number; readonly window: number };

export const streamStart: StreamPosition = { epoch: 0, block: 0, window: 0 };

/** What tells the order of the shards from that of windows. */
const SHARDS_XOR = 0x5d5d5d5d;

export function blockCount(shardCount: number, blockShards: number): number {
  return Math.ceil(shardCount / blockShards);
}

/** The order of the shards in an epoch. */
export function shardPermutation(shardCount: number, seed: number, epoch: number): EpochPermutation {
  return keyedPermutation(shardCount, seed, SHARDS_XOR, epoch);
}

/** The shards of a block in the block's order. */
export function shardsOfBlock(shards: EpochPermutation, blockShards: number, block: number): number[] {
  const from = block * blockShards;
  const to = Math.min(shards.windowCount, from + blockShards);
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => windowAt(shards, from + index));
}

/** The order of the windows in a block that has some. */
export function blockPermutation(windowsInBlock: number, seed: number, epoch: number, block: number): EpochPermutation {
  return keyedPermutation(windowsInBlock, seed, block + 1, epoch);
}

/** How far a stream has come, with the part of the epoch in the fraction. */
export function epochOf(position: StreamPosition, windowsInBlock: number, blocks: number): number {
  const part = windowsInBlock === 0 ? 0 : position.window / windowsInBlock;
  return position.epoch + (position.block + part) / blocks;
}
