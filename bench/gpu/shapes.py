"""The shapes that the GPU benches train, their parameters and the floating-point operations of a token.

Operations a token of training: 6 · (N − position embeddings) + 12 · L · d · T, with N all parameters (tied output layer
counted once), L layers, d width, T context: the whole attention matrix counts, though a causal model needs half of it.
"""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    name: str
    family: str  # "gpt2" | "megatron_bert"
    layers: int
    heads: int
    width: int
    vocabulary: int
    context: int
    microbatch: int  # sequences of one pass on a GPU of 80 GB and more
    batch: int  # sequences of one update

    @property
    def is_causal(self) -> bool:
        return self.family == "gpt2"

    @property
    def position_embeddings(self) -> int:
        return self.context * self.width

    @property
    def parameters(self) -> int:
        d = self.width
        block = 12 * d * d + 13 * d
        total = self.vocabulary * d + self.position_embeddings + self.layers * block + 2 * d
        if not self.is_causal:
            # Token types, the masked language model's transform and norm, its bias over the vocabulary.
            total += 2 * d + d * d + d + 2 * d + self.vocabulary
        return total

    @property
    def flops_per_token(self) -> float:
        return 6.0 * (self.parameters - self.position_embeddings) + 12.0 * self.layers * self.width * self.context

    @property
    def scored_per_sequence(self) -> int:
        """Predictions of a sequence: all of a decoder's, 15 % of an encoder's (Devlin et al. 2018)."""
        return self.context if self.is_causal else round(0.15 * self.context)


SHAPES = {
    shape.name: shape
    for shape in [
        Shape("gpt2-124m", "gpt2", 12, 12, 768, 50257, 1024, 64, 512),
        Shape("gpt2-355m", "gpt2", 24, 16, 1024, 50257, 1024, 32, 256),
        Shape("gpt2-1.5b", "gpt2", 48, 25, 1600, 50257, 1024, 16, 64),
        Shape("biomedlm-2.7b", "gpt2", 32, 20, 2560, 28896, 1024, 16, 64),
        Shape("biomegatron-345m", "megatron_bert", 24, 16, 1024, 50000, 512, 64, 256),
        Shape("biomegatron-1.2b", "megatron_bert", 24, 16, 2048, 50000, 512, 32, 128),
    ]
}

# Dense bf16 peak by the name that the driver gives the device, in FLOP/s (NVIDIA's datasheets, without sparsity).
PEAK_BF16 = {
    "A100": 312e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "A10": 125e12,
}

# Memory bandwidth, in bytes a second, of the same datasheets; for decoding.
BANDWIDTH = {"H200": 4.8e12, "H100": 3.35e12, "A100": 2.0e12, "B200": 8.0e12, "L40S": 0.864e12, "RTX 4090": 1.008e12}


def of_device(table: dict[str, float], device: str) -> float | None:
    return next((value for name, value in table.items() if name in device), None)
