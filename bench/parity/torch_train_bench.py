"""Times whole training steps of the bench shapes in PyTorch and prints one JSON line a shape: the peer of bench-train.

  torch_train_bench.py [--shape bench-s|bench-m|gpt2-124m] [--steps 10] [--warmup 2] [--threads 0] [--precision fp32|bf16]

Uses the best settings we know for PyTorch 1.13 on a CPU without MKL: OpenBLAS built for OpenMP, so that BLAS and PyTorch
share one thread pool; OpenBLAS's AVX-512 kernels, which it does not choose by itself on processors younger than it is;
a malloc that keeps large blocks instead of asking the kernel for fresh pages every step; gradients set to None; foreach
optimizer; bias and mask inside the products. What libraries read when they start is set by starting this program anew.
"""
from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

SHAPES = {
    "bench-s": dict(n_layers=4, d_model=256, n_heads=4, vocab_size=8192, seq_len=256, batch=8),
    "bench-m": dict(n_layers=6, d_model=384, n_heads=6, vocab_size=8192, seq_len=256, batch=8),
    "gpt2-124m": dict(n_layers=12, d_model=768, n_heads=12, vocab_size=50257, seq_len=512, batch=2),
}


def tuned_environment(threads: int) -> dict[str, str]:
    """The environment to run in; it wins over the caller's, which may name a slower BLAS kernel."""
    tuned = {
        "OMP_NUM_THREADS": str(threads),
        "MALLOC_MMAP_THRESHOLD_": "2000000000",
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
        "MALLOC_TOP_PAD_": "134217728",
    }
    try:
        if " avx512f" in Path("/proc/cpuinfo").read_text():
            tuned["OPENBLAS_CORETYPE"] = "SkylakeX"
    except OSError:
        pass
    return dict(os.environ) | tuned


def blas_libraries() -> list[str]:
    """Files of the BLAS really loaded: the OpenMP build has "openmp" in its path."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    return sorted({os.path.realpath(line.split()[-1]) for line in lines if "blas" in line.split()[-1].lower()})


def peak_bytes() -> int:
    """The most memory this process has held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), action="append")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    arguments = parser.parse_args()
    threads = arguments.threads or len(os.sched_getaffinity(0))
    environment = tuned_environment(threads)
    if environment != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)

    import torch

    import gpt2_reference as reference

    torch.set_num_threads(threads)
    for name in arguments.shape or SHAPES:
        shape = SHAPES[name]
        config = reference.Config(shape["vocab_size"], shape["seq_len"], shape["n_layers"], shape["n_heads"], shape["d_model"])
        model = reference.Gpt2(config)
        model.initialize(17)
        optimizer = reference.DecoupledAdamW(model.parameters, lr=1e-3)
        generator = torch.Generator().manual_seed(17)
        seconds = []
        loss = float("nan")
        for step in range(arguments.warmup + arguments.steps):
            tokens = torch.randint(shape["vocab_size"], (shape["batch"], shape["seq_len"] + 1), generator=generator)
            start = time.perf_counter()
            loss, _ = reference.train_step(model, optimizer, tokens, 1e-3, 1.0,
                                            autocast=arguments.precision == "bf16")
            if step >= arguments.warmup:
                seconds.append(round(time.perf_counter() - start, 6))
        print(json.dumps({
            "shape": name, "tokens_per_step": shape["batch"] * shape["seq_len"], "threads": torch.get_num_threads(),
            "torch": torch.__version__, "blas": blas_libraries(),
            "blas_core": os.environ.get("OPENBLAS_CORETYPE", ""), "loss": round(loss, 6), "step_seconds": seconds,
            "precision": arguments.precision, "peak_bytes": peak_bytes(),
        }), flush=True)
        del model, optimizer


if __name__ == "__main__":
    main()
