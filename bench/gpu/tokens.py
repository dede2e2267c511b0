"""Token windows for the comparison of losses: words of a text file as ids, cut into windows, in a fixed order.

usage: tokens.py --text FILE.jsonl --vocabulary V --context T --batch B --steps N --out FILE

The most frequent V − 1 words have ids from 1, all others 0. FILE is int32, (N, B, T + 1), little-endian.
"""
from __future__ import annotations

import argparse
import collections
import json
import random
import re
import struct


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    for name in ("--vocabulary", "--context", "--batch", "--steps"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    words: list[str] = []
    with open(arguments.text, encoding="utf-8") as file:
        for line in file:
            words += re.findall(r"\w+|[^\w\s]", json.loads(line)["text"])
    counts = collections.Counter(words)
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    ids = {word: index + 1 for index, word in enumerate(ordered[: arguments.vocabulary - 1])}
    tokens = [ids.get(word, 0) for word in words]
    length = arguments.context + 1
    if len(tokens) <= length:
        raise SystemExit(f"{arguments.text} has {len(tokens)} words, fewer than a window of {length}")
    draw = random.Random(17)
    with open(arguments.out, "wb") as out:
        for _ in range(arguments.steps * arguments.batch):
            begin = draw.randrange(len(tokens) - length)
            out.write(struct.pack(f"<{length}i", *tokens[begin : begin + length]))


if __name__ == "__main__":
    main()
