"""GPT-2 and Megatron's BERT in PyTorch 2, in their fastest usual form: the peer of the GPU benches and its reference.

Linear layers are Conv1D's (in, out) for GPT-2 with Hugging Face's names, so that safetensors of either side load in the
other. Attention is scaled_dot_product_attention, which takes the flash kernel for bf16. Shapes: B sequences, T
positions, C width, V vocabulary, S scored positions of a sequence.
"""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


class Conv1D(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight.t(), self.bias)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        query, key, value = (
            part.view(b, t, self.heads, c // self.heads).transpose(1, 2) for part in self.c_attn(x).split(c, dim=2)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.c_proj(mixed.transpose(1, 2).reshape(b, t, c))


class Mlp(nn.Module):
    def __init__(self, width: int, approximate: str) -> None:
        super().__init__()
        self.approximate = approximate
        self.c_fc = Conv1D(width, 4 * width)
        self.c_proj = Conv1D(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate=self.approximate))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, causal)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, "tanh" if causal else "none")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """With `causal` GPT-2; without it Megatron's BERT with its masked language model (norms before, one at the end)."""

    def __init__(self, vocabulary: int, context: int, layers: int, heads: int, width: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads, causal) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        if not causal:
            self.types = nn.Embedding(2, width)
            self.transform = Conv1D(width, width)
            self.transform_norm = nn.LayerNorm(width)
            self.vocabulary_bias = nn.Parameter(torch.zeros(vocabulary))
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scale = 1.0 / math.sqrt(2 * layers) if name.endswith("c_proj.weight") else 1.0
                nn.init.normal_(parameter, 0.0, 0.02 * scale)

    def forward(self, tokens_BT: torch.Tensor, targets: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Mean loss. Encoders: `rows` are the (B · S) places among all B · T that `targets` belong to."""
        b, t = tokens_BT.shape
        x = self.wte(tokens_BT) + self.wpe.weight[:t]
        if not self.causal:
            x = x + self.types.weight[0]
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        x = x.reshape(b * t, -1)
        bias = None
        if not self.causal:
            x = self.transform_norm(F.gelu(self.transform(x[rows])))
            bias = self.vocabulary_bias
        logits = F.linear(x, self.wte.weight, bias)
        return F.cross_entropy(logits.float(), targets.reshape(-1))


def from_hugging_face(name: str) -> str:
    """The name here of a GPT-2 tensor there."""
    return name.removeprefix("transformer.")


def fused_adamw(model: nn.Module, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW whose decay per update is `weight_decay`, as DecoupledAdamW's at its configured rate."""
    return torch.optim.AdamW(model.parameters(), lr=lr, betas=betas, eps=eps, weight_decay=weight_decay / lr, fused=True)
