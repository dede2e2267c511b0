"""The order in which training sees its windows, as docs/formats/data-order.md states it.

The engine's data-order.cpp and src/shared/domain/data-order.ts say the same, of streams src/shared/domain/stream-order.ts.
Run as a program it prints test vectors (`python3 data_order.py --vectors`, of streams `--stream-vectors`) or checks a
file of them (`python3 data_order.py --check FILE`).
"""

import json
import sys

ROUNDS = 8
GOLDEN = 0x9E3779B9
U32 = 0xFFFFFFFF
SHARDS_XOR = 0x5D5D5D5D


def mix32(x):
    x &= U32
    x ^= x >> 16
    x = (x * 0x7FEB352D) & U32
    x ^= x >> 15
    x = (x * 0x846CA68B) & U32
    x ^= x >> 16
    return x


def window_count(token_count, seq_len):
    return 0 if token_count < 1 else (token_count - 1) // seq_len


class EpochPermutation:
    def __init__(self, windows, seed, epoch):
        if not 1 <= windows <= U32:
            raise ValueError(f"A data order holds 1 to {U32} windows, not {windows}.")
        self.windows = windows
        self.half_bits = 1
        while (1 << (2 * self.half_bits)) < windows:
            self.half_bits += 1
        key = mix32((seed & U32) + GOLDEN)
        key = mix32(key ^ (seed >> 32))
        key = mix32(key + epoch)
        self.round_keys = [mix32(key + (round_ + 1) * GOLDEN) for round_ in range(ROUNDS)]

    def _encipher(self, value):
        mask = (1 << self.half_bits) - 1
        left, right = value >> self.half_bits, value & mask
        for round_key in self.round_keys:
            left, right = right, left ^ (mix32(right + round_key) & mask)
        return (left << self.half_bits) | right

    def window_at(self, position):
        value = self._encipher(position)
        while value >= self.windows:
            value = self._encipher(value)
        return value


class SampleSequence:
    """Sample s of the endless sequence epoch 0, 1, 2, …"""

    def __init__(self, windows, seed):
        self.windows = windows
        self.seed = seed
        self.epoch = -1
        self.permutation = None

    def window_of(self, sample):
        epoch, position = divmod(sample, self.windows)
        if epoch != self.epoch:
            self.epoch, self.permutation = epoch, EpochPermutation(self.windows, self.seed, epoch)
        return self.permutation.window_at(position)


def with_high_bits(seed, xor):
    return seed ^ (xor << 32)


def stream_samples(shard_windows, seed, block_shards, epoch=0, block=0, window=0):
    """From a position of a stream on: (epoch, block, shard, window of the shard) without an end."""
    shards = len(shard_windows)
    blocks = -(-shards // block_shards)
    if not any(shard_windows):
        raise ValueError("No shard holds a whole window.")
    while True:
        order = EpochPermutation(shards, with_high_bits(seed, SHARDS_XOR), epoch)
        while block < blocks:
            places = range(block * block_shards, min(shards, (block + 1) * block_shards))
            numbered = []
            for shard in map(order.window_at, places):
                numbered += [(shard, number) for number in range(shard_windows[shard])]
            if numbered:
                permutation = EpochPermutation(len(numbered), with_high_bits(seed, block + 1), epoch)
                while window < len(numbered):
                    yield (epoch, block, *numbered[permutation.window_at(window)])
                    window += 1
            block, window = block + 1, 0
        epoch, block = epoch + 1, 0


def take(samples, count):
    return [list(next(samples)) for _ in range(count)]


def stream_vectors():
    cases = []
    for shard_windows, seed, block_shards, (epoch, block, window), count in [
        ([3], 17, 1, (0, 0, 0), 7),
        ([4, 0, 5, 2, 1], 17, 2, (0, 0, 0), 25),
        ([4, 0, 5, 2, 1], 17, 5, (3, 0, 7), 10),
        ([0, 0, 3, 0, 0, 0, 2], 5, 1, (0, 0, 0), 11),
        ([7, 9, 8, 6, 9, 9, 7, 8, 5, 3], 4_294_967_296, 4, (2, 1, 20), 24),
        ([100] * 40, 9_007_199_254_740_991, 8, (4_294_967_294, 4, 795), 12),
        ([1] * 1000, 0, 3, (1, 300, 1), 20),
        ([5, 6], 23, 4, (0, 0, 11), 12),
    ]:
        samples = stream_samples(shard_windows, seed, block_shards, epoch, block, window)
        cases.append(
            {
                "shardWindows": shard_windows,
                "seed": seed,
                "blockShards": block_shards,
                "from": {"epoch": epoch, "block": block, "window": window},
                "samples": take(samples, count),
            }
        )
    return {"description": "Test vectors of docs/formats/data-order.md, Streams", "cases": cases}


def vectors():
    cases = []
    for windows, seed, epoch, start, stop in [
        (1, 17, 0, 0, 1),
        (2, 17, 3, 0, 2),
        (5, 0, 0, 0, 5),
        (16, 17, 0, 0, 16),
        (17, 17, 1, 0, 17),
        (1000, 17, 0, 0, 20),
        (1000, 17, 1, 0, 20),
        (1000, 18, 0, 980, 1000),
        (123_456, 4_294_967_296, 2, 100_000, 100_012),
        (123_456, 9_007_199_254_740_991, 4_294_967_295, 0, 12),
        (292_968_750, 42, 5, 292_968_738, 292_968_750),
        (4_294_967_295, 7, 0, 4_294_967_283, 4_294_967_295),
    ]:
        permutation = EpochPermutation(windows, seed, epoch)
        cases.append(
            {
                "windowCount": windows,
                "seed": seed,
                "epoch": epoch,
                "from": start,
                "to": stop,
                "windows": [permutation.window_at(position) for position in range(start, stop)],
            }
        )
    return {"description": "Test vectors of docs/formats/data-order.md", "cases": cases}


def format_vectors(value):
    """One case a line, so that a change shows as one line."""
    lines = ",\n    ".join(json.dumps(case) for case in value["cases"])
    return f'{{\n  "description": {json.dumps(value["description"])},\n  "cases": [\n    {lines}\n  ]\n}}\n'


def is_as_stated(case):
    if "shardWindows" in case:
        start = case["from"]
        samples = stream_samples(
            case["shardWindows"], case["seed"], case["blockShards"], start["epoch"], start["block"], start["window"]
        )
        return take(samples, len(case["samples"])) == case["samples"]
    permutation = EpochPermutation(case["windowCount"], case["seed"], case["epoch"])
    found = [permutation.window_at(position) for position in range(case["from"], case["to"])]
    return found == case["windows"]


def main():
    if sys.argv[1:] == ["--vectors"]:
        sys.stdout.write(format_vectors(vectors()))
    elif sys.argv[1:] == ["--stream-vectors"]:
        sys.stdout.write(format_vectors(stream_vectors()))
    elif len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="utf-8") as file:
            golden = json.load(file)
        for number, case in enumerate(golden["cases"]):
            if not is_as_stated(case):
                sys.exit(f"The order of case {number} (seed {case['seed']}) differs.")
        print(f"{len(golden['cases'])} vectors agree")
    else:
        sys.exit("Usage: data_order.py --vectors | --stream-vectors | --check FILE")


if __name__ == "__main__":
    main()
