"""DecoupledAdamW whose moments are kept in 8 bits, by blocks of 256 (Dettmers et al., "8-bit Optimizers via Block-wise
Quantization", 2021): what the engine's 8-bit optimizer state is compared with.

Each block is divided by its largest magnitude and each value then takes the nearest code of the paper's dynamic map: a sign
(first moment only), a decimal exponent written as a run of zeros, and what bits are left as a linear fraction.
"""
from __future__ import annotations

from typing import Iterable, Mapping

import torch

from gpt2_reference import DecoupledAdamW

BLOCK = 256


def dynamic_map(signed: bool) -> torch.Tensor:
    """The 256 values of the codes, ascending, the largest 1."""
    exponent_bits = 7
    values = [0.0, 1.0]
    extra = 0 if signed else 1  # the sign's bit goes to the fraction
    for exponent in range(exponent_bits):
        count = 2 ** (exponent + extra)
        edges = torch.linspace(0.1, 1.0, count + 1, dtype=torch.float64)
        middles = (edges[:-1] + edges[1:]) / 2
        scaled = (middles * 10.0 ** (exponent - exponent_bits + 1)).tolist()
        values += scaled
        if signed:
            values += [-value for value in scaled]
    values += [0.0] * (256 - len(values))
    return torch.tensor(sorted(values), dtype=torch.float64).float()


def through_eight_bits(values: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """What is left of `values` after a trip through the codes; the last block may be short."""
    flat = values.reshape(-1)
    padded = torch.nn.functional.pad(flat, (0, -len(flat) % BLOCK)).reshape(-1, BLOCK)
    largest = padded.abs().amax(1, keepdim=True)
    normal = torch.where(largest > 0, padded / largest, torch.zeros_like(padded))
    nearest = torch.bucketize(normal, (codes[1:] + codes[:-1]) / 2)
    return (codes[nearest] * largest).reshape(-1)[: len(flat)].reshape(values.shape)


class BlockAdamW(DecoupledAdamW):
    def __init__(self, parameters: Mapping[str, torch.Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.95),
                 eps: float = 1e-8, weight_decay: float = 1e-5, no_decay: Iterable[str] = ()) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, no_decay)
        self.signed, self.unsigned = dynamic_map(True), dynamic_map(False)

    @torch.no_grad()
    def step(self, lr: float) -> None:
        super().step(lr)
        for first, second in zip(self.exp_avg, self.exp_avg_sq):
            first.copy_(through_eight_bits(first, self.signed))
            second.copy_(through_eight_bits(second, self.unsigned))
