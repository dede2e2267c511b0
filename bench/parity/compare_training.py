"""Trains the same model in PyTorch from the same initial weights on the same batches and schedule as a finished run of
Assay, and compares the held-out perplexity.

usage: /usr/bin/python3 bench/parity/compare_training.py --run RUN --initial CHECKPOINT
           --train-cache DIR --eval-cache DIR [--microbatch 4] [--threads 2] [--out FILE]

RUN is a completed run directory, CHECKPOINT the folder its recipe's model.init_from named (config.json and
model.safetensors), the caches are the token caches the run's log names. Ends with status 1 where the perplexities
differ by more than one percent.
"""

import argparse
import json
import math
import os
import sys
import time

import numpy
import torch
import yaml

import gpt2_reference
from data_order import SampleSequence, window_count


class TokenCache:
    def __init__(self, folder):
        with open(os.path.join(folder, "meta.json"), encoding="utf-8") as file:
            self.meta = json.load(file)
        dtype = numpy.dtype("<u2" if self.meta["dtype"] == "u16" else "<u4")
        self.tokens = numpy.fromfile(os.path.join(folder, "tokens.bin"), dtype=dtype)
        self.index = numpy.fromfile(os.path.join(folder, "documents.idx"), dtype="<u8").astype(numpy.int64)

    def documents(self):
        """Token ids of each document, without the end-of-text that closes it."""
        for begin, end in zip(self.index[:-1], self.index[1:]):
            yield self.tokens[begin : end - 1].astype(numpy.int64)


@torch.no_grad()
def held_out(model, cache, seq_len, batch_size=16):
    """Sum of nats and number of scored tokens: each document alone after end-of-text, in windows without overlap."""
    end_of_text = cache.meta["end_of_text_id"]
    windows = []
    for document in cache.documents():
        text = numpy.concatenate([[end_of_text], document])
        windows += [text[at : at + seq_len + 1] for at in range(0, len(text) - 1, seq_len)]
    windows.sort(key=len)
    nats, count = 0.0, 0
    for begin in range(0, len(windows), batch_size):
        group = windows[begin : begin + batch_size]
        longest = max(len(window) for window in group) - 1
        inputs = numpy.full((len(group), longest), end_of_text)
        targets = numpy.full((len(group), longest), -100)
        for row, window in enumerate(group):
            inputs[row, : len(window) - 1] = window[:-1]
            targets[row, : len(window) - 1] = window[1:]
        logits = model.logits(torch.from_numpy(inputs))
        flat = torch.from_numpy(targets).reshape(-1)
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), flat, ignore_index=-100, reduction="sum"
        )
        nats += float(loss)
        count += int((flat >= 0).sum())
    return nats, count


def duration_in_steps(text, tokens_per_step):
    text = str(text)
    if text.endswith("ba"):
        return int(float(text[:-2]))
    if text.endswith("tok"):
        return math.ceil(float(text[:-3]) / tokens_per_step)
    raise SystemExit(f"max_duration and t_warmup must be in ba or tok for this comparison, not {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--run", "--initial", "--train-cache", "--eval-cache"):
        parser.add_argument(name, required=True)
    parser.add_argument("--microbatch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=20, help="updates between printed lines")
    parser.add_argument("--out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    with open(os.path.join(options.run, "recipe.yaml"), encoding="utf-8") as file:
        recipe = yaml.safe_load(file)
    if float(recipe["model"].get("dropout", 0)) != 0:
        raise SystemExit("This comparison needs a recipe without dropout: two libraries draw different masks.")
    with open(os.path.join(options.run, "metrics.jsonl"), encoding="utf-8") as file:
        ours = [json.loads(line) for line in file if "eval/perplexity" in line][-1]
    our_losses = {}
    with open(os.path.join(options.run, "metrics.jsonl"), encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if "train/loss" in record:
                our_losses[record["step"]] = record["train/loss"]

    with open(os.path.join(options.initial, "config.json"), encoding="utf-8") as file:
        shape = json.load(file)
    model = gpt2_reference.Gpt2(
        gpt2_reference.Config(
            vocab_size=shape["vocab_size"],
            max_seq_len=shape["n_positions"],
            n_layers=shape["n_layer"],
            n_heads=shape["n_head"],
            d_model=shape["n_embd"],
        )
    )
    model.load(os.path.join(options.initial, "model.safetensors"))
    seq_len, batch = recipe["max_seq_len"], recipe["global_train_batch_size"]
    optimizer_options = recipe["optimizer"]
    optimizer = gpt2_reference.DecoupledAdamW(
        model.parameters,
        float(optimizer_options["lr"]),
        tuple(float(beta) for beta in optimizer_options["betas"]),
        float(optimizer_options["eps"]),
        float(optimizer_options["weight_decay"]),
        optimizer_options.get("no_decay") or (),
    )
    steps = duration_in_steps(recipe["max_duration"], seq_len * batch)
    warmup = duration_in_steps(recipe["scheduler"]["t_warmup"], seq_len * batch)
    alpha_f = float(recipe["scheduler"]["alpha_f"])
    clipping = recipe.get("gradient_clipping")

    cache = TokenCache(options.train_cache)
    windows = window_count(len(cache.tokens), seq_len)
    order = SampleSequence(windows, recipe["data"].get("shuffle_seed", recipe["seed"]))
    begin = time.time()
    for step in range(steps):
        samples = [order.window_of(step * batch + row) * seq_len for row in range(batch)]
        rows = numpy.stack([cache.tokens[at : at + seq_len + 1] for at in samples]).astype(numpy.int64)
        for parameter in model.parameters.values():
            parameter.grad = None
        total = 0.0
        for at in range(0, batch, options.microbatch):
            tokens = torch.from_numpy(rows[at : at + options.microbatch])
            loss = model.loss(tokens) * (len(tokens) / batch)
            loss.backward()
            total += float(loss.detach())
        gpt2_reference.clip_gradients(model.parameters.values(), None if clipping is None else float(clipping))
        rate = gpt2_reference.cosine_with_warmup(step, steps, warmup, optimizer.initial_lr, alpha_f)
        optimizer.step(rate)
        if step % options.every == 0 or step + 1 == steps:
            beside = our_losses.get(step + 1)
            print(
                f"update {step + 1}/{steps} loss {total:.4f} (run: {beside if beside is None else round(beside, 4)}), "
                f"{time.time() - begin:.0f} s",
                flush=True,
            )
    nats, count = held_out(model, TokenCache(options.eval_cache), seq_len)
    theirs = math.exp(nats / count)
    ratio = ours["eval/perplexity"] / theirs
    result = {
        "run": os.path.basename(os.path.normpath(options.run)),
        "steps": steps,
        "scored_tokens": count,
        "assay_perplexity": ours["eval/perplexity"],
        "pytorch_perplexity": theirs,
        "ratio": ratio,
        "torch": torch.__version__,
    }
    print(json.dumps(result))
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    sys.exit(0 if abs(ratio - 1) <= 0.01 else 1)


if __name__ == "__main__":
    main()
