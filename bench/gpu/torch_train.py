"""Times training steps of one shape in PyTorch at its best settings and prints one line of JSON.

usage: torch_train.py --shape NAME [--microbatch N] [--batch N] [--steps 8] [--warmup 3]

bf16 autocast over fp32 weights, torch.compile, flash attention, fused AdamW, clipping at 1; tokens are random, since a
step's cost does not depend on them. Every update's inputs are copied to the GPU as a training loop would.
"""
from __future__ import annotations

import argparse
import json
import time

import torch

from shapes import SHAPES
from torch_models import Transformer, fused_adamw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--microbatch", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--warmup", type=int, default=3)
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    microbatch = arguments.microbatch or shape.microbatch
    batch = arguments.batch or shape.batch
    if batch % microbatch:
        parser.error(f"the batch {batch} is no multiple of the microbatch {microbatch}")

    torch.manual_seed(17)
    torch.set_float32_matmul_precision("high")
    model = Transformer(shape.vocabulary, shape.context, shape.layers, shape.heads, shape.width, shape.is_causal).cuda()
    optimizer = fused_adamw(model, 1e-4, (0.9, 0.95), 1e-8, 1e-5)
    compiled = torch.compile(model)
    generator = torch.Generator().manual_seed(17)
    scored = shape.scored_per_sequence
    first_rows = torch.arange(microbatch).repeat_interleave(scored) * shape.context
    seconds = []
    loss_value = float("nan")
    for step in range(arguments.warmup + arguments.steps):
        windows = torch.randint(shape.vocabulary, (batch, shape.context + 1), generator=generator).pin_memory()
        torch.cuda.synchronize()
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device="cuda")
        for first in range(0, batch, microbatch):
            part = windows[first : first + microbatch].cuda(non_blocking=True)
            if shape.is_causal:
                inputs, targets, rows = part[:, :-1], part[:, 1:], None
            else:
                inputs = part[:, :-1]
                rows = (first_rows + torch.arange(scored).repeat(microbatch)).cuda(non_blocking=True)
                targets = inputs.reshape(-1)[rows]
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = compiled(inputs, targets, rows) * (microbatch / batch)
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        loss_value = float(total)  # as a loop that logs the loss of each update waits for it
        torch.cuda.synchronize()
        if step >= arguments.warmup:
            seconds.append(round(time.perf_counter() - start, 6))
    print(json.dumps({
        "shape": shape.name, "microbatch": microbatch, "tokens_per_step": batch * shape.context,
        "step_seconds": seconds, "peak_bytes": torch.cuda.max_memory_allocated(), "loss": round(loss_value, 5),
        "device": torch.cuda.get_device_name(), "peer": f"PyTorch {torch.__version__}",
    }), flush=True)


if __name__ == "__main__":
    main()
