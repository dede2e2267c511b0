"""How nanoGPT-style training gets its batches: windows at random places of a flat memory-mapped file of token ids,
widened to int64 and stacked with NumPy. `assay bench data` runs this beside the engine's reading of shards; with
--check it prints the windows that begin at the given tokens instead, so that both sides are known to read the same ids."""

import argparse
import json
import sys
import time

import numpy as np


def batch(data: np.ndarray, begins: np.ndarray, width: int) -> np.ndarray:
    return np.stack([data[begin : begin + width].astype(np.int64) for begin in begins])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--dtype", choices=["uint16", "int64"], required=True)
    parser.add_argument("--width", type=int, required=True, help="tokens of a window")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--batches", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="read the windows' first tokens from standard input")
    options = parser.parse_args()
    data = np.memmap(options.file, dtype=options.dtype, mode="r")
    if options.check:
        begins = np.array(json.load(sys.stdin), dtype=np.int64)
        print(json.dumps(batch(data, begins, options.width).tolist()))
        return
    random = np.random.default_rng(options.seed)
    last = len(data) - options.width
    batch(data, random.integers(0, last, options.batch), options.width)
    start, start_of_core = time.perf_counter(), time.process_time()
    for _ in range(options.batches):
        batch(data, random.integers(0, last, options.batch), options.width)
    seconds, core_seconds = time.perf_counter() - start, time.process_time() - start_of_core
    print(json.dumps({"seconds": seconds, "core_seconds": core_seconds}))


if __name__ == "__main__":
    main()
