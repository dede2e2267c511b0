// The order of streams against the vectors that Python made, and what an order must be: everything once an epoch.
import { describe, expect, it } from "vitest";
import golden from "../../../test/golden/stream-order.json" with { type: "json" };
import { windowAt } from "./data-order.ts";
import {
  blockCount,
  blockPermutation,
  epochOf,
  type StreamPosition,
  shardPermutation,
  shardsOfBlock,
} from "./stream-order.ts";

type Sample = readonly [epoch: number, block: number, shard: number, window: number];

function* samplesFrom(
  shardWindows: readonly number[],
  seed: number,
  blockShards: number,
  from: StreamPosition,
): Generator<Sample> {
  let { epoch, block, window } = from;
  for (; ; epoch += 1, block = 0) {
    const shards = shardPermutation(shardWindows.length, seed, epoch);
    for (; block < blockCount(shardWindows.length, blockShards); block += 1, window = 0) {
      const numbered = shardsOfBlock(shards, blockShards, block).flatMap((shard) =>
        Array.from({ length: shardWindows[shard] ?? 0 }, (_, number) => [shard, number] as const),
      );
      if (numbered.length === 0) {
        continue;
      }
      const order = blockPermutation(numbered.length, seed, epoch, block);
      for (; window < numbered.length; window += 1) {
        const [shard, number] = numbered[windowAt(order, window)] ?? [0, 0];
        yield [epoch, block, shard, number];
      }
    }
  }
}

function take(samples: Generator<Sample>, count: number): Sample[] {
  // as: the generator never ends.
  return Array.from({ length: count }, () => samples.next().value as Sample);
}

describe("the order of a stream", () => {
  it("is the shared test vectors", () => {
    expect(golden.cases.length).toBeGreaterThan(5);
    for (const { shardWindows, seed, blockShards, from, samples } of golden.cases) {
      expect(take(samplesFrom(shardWindows, seed, blockShards, from), samples.length)).toEqual(samples);
    }
  });

  it("sees every window once an epoch, in another order each epoch, whatever the size of a block", () => {
    const shardWindows = [3, 0, 8, 5, 1, 1, 7];
    const total = shardWindows.reduce((sum, count) => sum + count, 0);
    for (const blockShards of [1, 2, 3, 7, 50]) {
      const samples = take(samplesFrom(shardWindows, 17, blockShards, { epoch: 0, block: 0, window: 0 }), 2 * total);
      const epochs = [samples.slice(0, total), samples.slice(total)].map((epoch) =>
        epoch.map(([, , shard, window]) => `${shard}:${window}`),
      );
      expect(new Set(epochs[0]).size).toBe(total);
      expect(epochs[1]?.toSorted()).toEqual(epochs[0]?.toSorted());
      expect(epochs[1]).not.toEqual(epochs[0]);
    }
  });

  it("tells how much of an epoch is over", () => {
    expect(epochOf({ epoch: 2, block: 1, window: 5 }, 10, 4)).toBe(2.375);
    expect(epochOf({ epoch: 0, block: 3, window: 0 }, 0, 4)).toBe(0.75);
  });
});
