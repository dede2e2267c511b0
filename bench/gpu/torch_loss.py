"""Trains from given weights on given batches in PyTorch, in bf16, and compares the losses with ours.

usage: torch_loss.py --weights FILE.safetensors --tokens FILE --losses FILE.json [--tolerance 0.01]

The JSON is what bench-cuda's `loss` wrote: the shape, the optimizer and our loss of every step. Ends with status 1 where
the mean losses of the last ten steps differ by more than the tolerance.
"""
from __future__ import annotations

import argparse
import json
import sys

import numpy
import torch
from safetensors.torch import load_file

from torch_models import Transformer, from_hugging_face, fused_adamw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--weights", "--tokens", "--losses"):
        parser.add_argument(name, required=True)
    parser.add_argument("--tolerance", type=float, default=0.01)
    arguments = parser.parse_args()
    with open(arguments.losses, encoding="utf-8") as file:
        ours = json.load(file)
    model = Transformer(ours["vocab_size"], ours["seq_len"], ours["n_layers"], ours["n_heads"], ours["d_model"], True)
    weights = {from_hugging_face(name): values for name, values in load_file(arguments.weights).items()}
    model.load_state_dict(weights, strict=True)
    model.cuda()
    optimizer = fused_adamw(model, ours["learning_rate"], tuple(ours["betas"]), ours["epsilon"], ours["weight_decay"])
    steps = len(ours["losses"])
    windows = numpy.fromfile(arguments.tokens, dtype="<i4").reshape(-1, ours["batch"], ours["seq_len"] + 1)[:steps]
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = ours["learning_rate"] * min(1.0, (step + 1) / ours["warmup_steps"])
        part = torch.from_numpy(windows[step].astype(numpy.int64)).cuda()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(part[:, :-1], part[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), ours["clipping"])
        optimizer.step()
        losses.append(float(loss.detach()))
    last = min(10, steps)
    theirs_mean = sum(losses[-last:]) / last
    ours_mean = sum(ours["losses"][-last:]) / last
    difference = abs(ours_mean / theirs_mean - 1.0)
    first = abs(ours["losses"][0] / losses[0] - 1.0)
    print(json.dumps({
        "steps": steps, "ours": ours_mean, "pytorch": theirs_mean, "relative_difference": difference,
        "relative_difference_of_first_step": first,
    }))
    if not (difference <= arguments.tolerance and first <= arguments.tolerance):
        sys.exit(f"the losses differ by {100 * difference:.3f} % at step {steps} and {100 * first:.3f} % at the first")


if __name__ == "__main__":
    main()
