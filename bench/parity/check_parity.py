"""Compares the native engine with PyTorch on one case and prints one JSON line; exits 1 where they disagree.

  check_parity.py DIRECTORY

DIRECTORY holds what native/bench/bench-parity (or a program through the addon) wrote:
  case.json               {config, batch, seq_len, tokens: batch * (seq_len + 1) ids, loss, optimizer: {lr, betas, eps,
                          weight_decay, no_decay}, gradient_clipping, steps: [{lr, loss, grad_norm}]}
  weights.safetensors     before the first update
  gradients.safetensors   of `loss`, by parameter name
  logits.safetensors      `logits` (seq_len, vocab_size) of the first sequence's inputs

Limits: relative L2 of 1e-4 a tensor with an absolute floor of 1e-6. The key third of an attention bias has a gradient of
exactly zero in theory (softmax ignores what all scores share), so it is compared absolutely.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

import gpt2_reference as reference
from safetensors_plain import read_safetensors

RELATIVE_LIMIT = 1e-4
ABSOLUTE_FLOOR = 1e-6
LOSS_LIMIT = 1e-4


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    tensors, _ = read_safetensors(path)
    return {name: torch.frombuffer(t.values, dtype=torch.float32).reshape(t.shape) for name, t in tensors.items()}


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> tuple[float, bool]:
    """L2 of the difference over L2 of the expected, and whether that, or every difference, is within its limit."""
    difference = (found.double() - expected.double()).abs()
    error = float(difference.norm() / max(float(expected.double().norm()), 1e-30))
    return error, error <= RELATIVE_LIMIT or float(difference.max()) <= ABSOLUTE_FLOOR


def gradient_errors(found: dict[str, torch.Tensor], model: reference.Gpt2) -> dict[str, tuple[float, bool]]:
    errors = {}
    c = model.config.d_model
    for name, parameter in model.parameters.items():
        ours, theirs = found[name], parameter.grad
        if name.endswith("c_attn.bias"):
            key = float((ours[c : 2 * c] - theirs[c : 2 * c]).abs().max())
            errors[name + " (keys, absolute)"] = (key, key <= ABSOLUTE_FLOOR)
            ours, theirs = (torch.cat([t[:c], t[2 * c :]]) for t in (ours, theirs))
        errors[name] = relative_error(ours, theirs)
    return errors


def main() -> int:
    directory = Path(sys.argv[1])
    case = json.loads((directory / "case.json").read_text())
    model = reference.Gpt2(reference.Config(**case["config"]))
    model.load(str(directory / "weights.safetensors"))
    tokens = torch.tensor(case["tokens"]).view(case["batch"], case["seq_len"] + 1)

    with torch.no_grad():
        logits = model.logits(tokens[:1, :-1])[0]
    logits_error, logits_agree = relative_error(read_tensors(directory / "logits.safetensors")["logits"], logits)
    loss = model.loss(tokens)
    loss.backward()
    errors = gradient_errors(read_tensors(directory / "gradients.safetensors"), model)
    worst = max(errors, key=lambda name: errors[name][0])

    options = case["optimizer"]
    optimizer = reference.DecoupledAdamW(model.parameters, options["lr"], tuple(options["betas"]), options["eps"],
                                         options["weight_decay"], options["no_decay"])
    step_errors = []
    for step in case["steps"]:
        step_loss, _ = reference.train_step(model, optimizer, tokens, step["lr"], case["gradient_clipping"])
        step_errors.append(abs(step["loss"] - step_loss) / step_loss)

    loss_error = abs(case["loss"] - float(loss.detach())) / float(loss.detach())
    agrees = (max([loss_error, *step_errors]) <= LOSS_LIMIT
              and logits_agree and all(within for _, within in errors.values()))
    print(json.dumps({
        "agrees": agrees, "loss_relative_error": loss_error, "logits_relative_error": logits_error,
        "gradient_relative_error": errors[worst][0], "gradient_worst_tensor": worst,
        "steps": len(step_errors), "last_loss_relative_error": step_errors[-1] if step_errors else None,
        "torch": torch.__version__,
    }))
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
