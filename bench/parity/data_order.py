"""The order in which training sees its windows, as docs/formats/data-order.md states it.

The engine's data-order.cpp and src/shared/domain/data-order.ts say the same. Run as a program it prints test vectors
(`python3 data_order.py --vectors`) or checks a file of them (`python3 data_order.py --check FILE`).
"""

import json
import sys

ROUNDS = 8
GOLDEN = 0x9E3779B9
U32 = 0xFFFFFFFF


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


def main():
    if sys.argv[1:] == ["--vectors"]:
        sys.stdout.write(format_vectors(vectors()))
    elif len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="utf-8") as file:
            golden = json.load(file)
        for case in golden["cases"]:
            permutation = EpochPermutation(case["windowCount"], case["seed"], case["epoch"])
            found = [permutation.window_at(position) for position in range(case["from"], case["to"])]
            if found != case["windows"]:
                sys.exit(f"The order differs for {case['windowCount']} windows, seed {case['seed']}: {found}")
        print(f"{len(golden['cases'])} vectors agree")
    else:
        sys.exit("Usage: data_order.py --vectors | --check FILE")


if __name__ == "__main__":
    main()
