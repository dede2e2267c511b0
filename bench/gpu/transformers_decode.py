"""Times greedy decoding of one shape in Hugging Face Transformers and prints one line of JSON.

usage: transformers_decode.py --shape NAME [--batch 1] [--prompt 128] [--new 256] [--repeats 3]

Random weights in bf16, flash or SDPA attention, static cache and torch.compile where the version supports them, since
that is Transformers' fastest documented setting; the plain dynamic cache is timed too and the better one is given.
"""
from __future__ import annotations

import argparse
import json
import time

import torch
import transformers

from shapes import SHAPES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=[name for name, shape in SHAPES.items() if shape.is_causal], required=True)
    for name, value in (("--batch", 1), ("--prompt", 128), ("--new", 256), ("--repeats", 3)):
        parser.add_argument(name, type=int, default=value)
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    config = transformers.GPT2Config(
        vocab_size=shape.vocabulary, n_positions=shape.context, n_embd=shape.width, n_layer=shape.layers,
        n_head=shape.heads, bos_token_id=shape.vocabulary - 1, eos_token_id=shape.vocabulary - 1,
    )
    torch.manual_seed(17)
    with torch.device("cuda"):
        model = transformers.GPT2LMHeadModel(config).to(torch.bfloat16).eval()
    prompt = torch.randint(shape.vocabulary - 1, (arguments.batch, arguments.prompt), device="cuda")
    best: dict[str, float] = {}
    for setting, extra in {"dynamic cache": {}, "static cache, compiled": {"cache_implementation": "static"}}.items():
        try:
            for repeat in range(arguments.repeats + 1):
                times = []
                # The prompt's share is taken away by a second, shorter generation.
                for new in (1, arguments.new):
                    torch.cuda.synchronize()
                    start = time.perf_counter()
                    model.generate(prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0, **extra)
                    torch.cuda.synchronize()
                    times.append(time.perf_counter() - start)
                rate = arguments.batch * (arguments.new - 1) / (times[1] - times[0])
                if repeat > 0:
                    best[setting] = max(best.get(setting, 0.0), rate)
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            print(f"{setting}: {error}", flush=True)
    setting = max(best, key=lambda name: best[name])
    print(json.dumps({
        "shape": shape.name, "batch": arguments.batch, "tokens_per_second": best[setting], "setting": setting,
        "peer": f"Transformers {transformers.__version__}", "device": torch.cuda.get_device_name(),
    }), flush=True)


if __name__ == "__main__":
    main()
