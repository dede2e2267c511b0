"""Ours beside PyTorch and Transformers on one GPU: a Markdown table and a JSON file.

usage: compare.py --bench build/gpu/bench/bench-cuda [--shape NAME …] [--rounds 3] [--steps 8] [--out FILE.json]
                  [--skip-decode]

Training programs run in turn, ours and PyTorch's, `rounds` times; the figure of each is its median step of all rounds.
A shape that does not fit is tried with half the microbatch, and the table says which one each side took.
"""
from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

from shapes import BANDWIDTH, PEAK_BF16, SHAPES, of_device

HERE = Path(__file__).resolve().parent


def last_json(command: list[str]) -> dict | str:
    """What the command's last line says, or why there is none."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    except subprocess.TimeoutExpired:
        return "did not end within 20 minutes"
    for line in reversed(result.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    lines = (result.stderr or result.stdout).strip().splitlines()
    return lines[-1] if lines else f"ended with status {result.returncode}"


def train(command: list[str], shape, steps: int, first_microbatch: int) -> tuple[dict | str, int]:
    microbatch = first_microbatch
    while True:
        found = last_json([*command, "--shape", shape.name, "--steps", str(steps), "--microbatch", str(microbatch)])
        is_memory = isinstance(found, str) and ("memory" in found.lower() or "OUT_OF_MEMORY" in found)
        if not is_memory or microbatch == 1:
            return found, microbatch
        microbatch //= 2


def training_rows(bench: str, names: list[str], rounds: int, steps: int) -> list[dict]:
    rows = []
    for name in names:
        shape = SHAPES[name]
        sides = {"ours": [bench, "train"], "peer": [sys.executable, str(HERE / "torch_train.py")]}
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        last: dict[str, dict] = {}
        failed: dict[str, str] = {}
        microbatch = {side: shape.microbatch for side in sides}
        for _ in range(rounds):
            for side, command in sides.items():
                if side in failed:
                    continue
                found, microbatch[side] = train(command, shape, steps, microbatch[side])
                if isinstance(found, str):
                    failed[side] = found
                else:
                    seconds[side] += found["step_seconds"]
                    last[side] = found
        row = {"kind": "train", "shape": name, "failed": failed}
        for side, found in last.items():
            rate = found["tokens_per_step"] / statistics.median(seconds[side])
            peak = of_device(PEAK_BF16, found["device"])
            row[side] = {
                "tokens_per_second": rate,
                "mfu": rate * shape.flops_per_token / peak if peak else None,
                "peak_bytes": found["peak_bytes"],
                "microbatch": found["microbatch"],
                "name": found.get("peer", "Assay"),
                "device": found["device"],
            }
        if "ours" in row and "peer" in row:
            row["ratio"] = row["ours"]["tokens_per_second"] / row["peer"]["tokens_per_second"]
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return rows


def decoding_rows(bench: str, names: list[str]) -> list[dict]:
    rows = []
    for name in (each for each in names if SHAPES[each].is_causal):
        for batch in (1, 16):
            size = ["--shape", name, "--batch", str(batch)]
            ours = last_json([bench, "decode", *size])
            int8 = last_json([bench, "decode", *size, "--weights", "int8"])
            peer = last_json([sys.executable, str(HERE / "transformers_decode.py"), *size])
            row = {"kind": "decode", "shape": name, "batch": batch, "ours": ours, "int8": int8, "peer": peer}
            if isinstance(ours, dict) and isinstance(peer, dict):
                row["ratio"] = ours["tokens_per_second"] / peer["tokens_per_second"]
            if isinstance(ours, dict) and (bandwidth := of_device(BANDWIDTH, ours["device"])):
                row["bandwidth_share"] = ours["weight_bytes"] * ours["tokens_per_second"] / batch / bandwidth
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    return rows


def share(value: float | None) -> str:
    return f"{100 * value:.1f} %" if value is not None else "–"


def side_cells(row: dict, side: str) -> str:
    if side not in row:
        return f"{row['failed'].get(side, 'not run')} | – | – | –"
    each = row[side]
    return (
        f"{each['tokens_per_second']:,.0f} | {share(each['mfu'])} | {each['peak_bytes'] / 2**30:.1f} GiB"
        f" | {each['microbatch']}"
    )


def print_tables(rows: list[dict]) -> None:
    train_rows = [row for row in rows if row["kind"] == "train"]
    if train_rows:
        print("| shape | Assay tokens/s | MFU | peak | microbatch | PyTorch tokens/s | MFU | peak | microbatch | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for row in train_rows:
            ratio = f"{row['ratio']:.2f}" if "ratio" in row else "–"
            print(f"| {row['shape']} | {side_cells(row, 'ours')} | {side_cells(row, 'peer')} | {ratio} |")
    decode_rows = [row for row in rows if row["kind"] == "decode"]
    if decode_rows:
        print("\n| shape | batch | Assay bf16 tokens/s | of bandwidth | Assay int8 | Transformers | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in decode_rows:
            rates = [
                f"{row[side]['tokens_per_second']:,.0f}" if isinstance(row[side], dict) else row[side]
                for side in ("ours", "int8", "peer")
            ]
            ratio = f"{row['ratio']:.2f}" if "ratio" in row else "–"
            print(
                f"| {row['shape']} | {row['batch']} | {rates[0]} | {share(row.get('bandwidth_share'))} | {rates[1]}"
                f" | {rates[2]} | {ratio} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--shape", choices=sorted(SHAPES), action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--out")
    parser.add_argument("--skip-decode", action="store_true")
    arguments = parser.parse_args()
    names = arguments.shape or list(SHAPES)
    rows = training_rows(arguments.bench, names, arguments.rounds, arguments.steps)
    if not arguments.skip_decode:
        rows += decoding_rows(arguments.bench, names)
    print_tables(rows)
    if arguments.out:
        Path(arguments.out).write_text(json.dumps({"date": str(date.today()), "rows": rows}, indent=1), encoding="utf-8")
    if any(isinstance(row.get("ours"), str) or "ours" in row.get("failed", {}) for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
