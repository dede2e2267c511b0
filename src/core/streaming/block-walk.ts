// Which shards are needed when: a stream's blocks one after the other through the epochs, and how far away the next use of
// any shard is, so that the one needed last is given up first.
import type { EpochPermutation } from "#shared/domain/data-order";
import { blockCount, shardPermutation, shardsOfBlock } from "#shared/domain/stream-order";

export type BlockPlace = { readonly epoch: number; readonly block: number };

export class BlockWalk {
  readonly shardCount: number;
  readonly blockShards: number;
  readonly blocks: number;
  readonly #seed: number;
  /** Of the epoch asked for last and the one after it. */
  readonly #permutations = new Map<number, EpochPermutation>();
  readonly #places = new Map<number, Uint32Array>();

  constructor(shardCount: number, blockShards: number, seed: number) {
    this.shardCount = shardCount;
    this.blockShards = blockShards;
    this.blocks = blockCount(shardCount, blockShards);
    this.#seed = seed;
  }

  #permutation(epoch: number): EpochPermutation {
    return remember(this.#permutations, epoch, () => shardPermutation(this.shardCount, this.#seed, epoch));
  }

  shardsOf({ epoch, block }: BlockPlace): readonly number[] {
    return shardsOfBlock(this.#permutation(epoch), this.blockShards, block);
  }

  after({ epoch, block }: BlockPlace): BlockPlace {
    return block + 1 < this.blocks ? { epoch, block: block + 1 } : { epoch: epoch + 1, block: 0 };
  }

  /** The next shards from the beginning of a block on, without an end; after an epoch they come again. */
  *shardsFrom(place: BlockPlace): Generator<number> {
    for (let at = place; ; at = this.after(at)) {
      yield* this.shardsOf(at);
    }
  }

  #placesIn(epoch: number): Uint32Array {
    return remember(this.#places, epoch, () => {
      const places = new Uint32Array(this.shardCount);
      for (const [place, shard] of shardsOfBlock(this.#permutation(epoch), this.shardCount, 0).entries()) {
        places[shard] = place;
      }
      return places;
    });
  }

  /** How many shards are visited between the beginning of a block and the next use of a shard. */
  distance(shard: number, { epoch, block }: BlockPlace): number {
    const from = block * this.blockShards;
    const here = this.#placesIn(epoch)[shard] ?? 0;
    return here >= from ? here - from : this.shardCount - from + (this.#placesIn(epoch + 1)[shard] ?? 0);
  }
}

function remember<T>(known: Map<number, T>, epoch: number, make: () => T): T {
  let found = known.get(epoch);
  if (found === undefined) {
    for (const old of known.keys()) {
      if (old !== epoch - 1 && old !== epoch + 1) {
        known.delete(old);
      }
    }
    found = make();
    known.set(epoch, found);
  }
  return found;
}
