"""The parts that the reference models share: products in fp32 or of bf16-rounded operands, linear layers with LoRA,
attention under a mask of segments, and Hugging Face's two layouts of a weight.

Written for being obviously right. Shapes: B sequences, T positions, C width, H heads, D = C / H, V vocabulary.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Product = Callable[[Tensor, Tensor], Tensor]


def to_bf16(x: Tensor) -> Tensor:
    """Rounded to the nearest bf16 (ties to even), kept in x's own type."""
    return x.to(torch.bfloat16).to(x.dtype)


class _RoundedProduct(torch.autograd.Function):
    """a @ b of bf16-rounded operands with fp32 sums; its two gradients are such products too."""

    @staticmethod
    def forward(context, a: Tensor, b: Tensor) -> Tensor:  # type: ignore[override]
        a, b = to_bf16(a), to_bf16(b)
        context.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        a, b = context.saved_tensors
        gradient = to_bf16(gradient)
        return gradient @ b.transpose(-1, -2), a.transpose(-1, -2) @ gradient


PRODUCTS: dict[str, Product] = {"fp32": torch.matmul, "bf16": _RoundedProduct.apply}


@dataclass(frozen=True)
class Lora:
    """PEFT's adapter of a linear layer: y + alpha / rank * B(A(x)). Targets are ends of module names."""

    rank: int
    alpha: float
    targets: tuple[str, ...]

    def covers(self, module_name: str) -> bool:
        return any(module_name == target or module_name.endswith("." + target) for target in self.targets)


class Linear(nn.Module):
    """y = x W' + b with torch.nn.Linear's layout, (out, in)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.weight = nn.Parameter(torch.zeros(*self.weight_shape()))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.product: Product = torch.matmul
        self.lora_scale = 0.0

    def weight_shape(self) -> tuple[int, int]:
        return (self.outputs, self.inputs)

    def matrix(self) -> Tensor:
        """(in, out)"""
        return self.weight.T

    def add_lora(self, lora: Lora) -> None:
        self.lora_A = Linear(self.inputs, lora.rank, bias=False)
        self.lora_B = Linear(lora.rank, self.outputs, bias=False)
        self.lora_scale = lora.alpha / lora.rank

    def forward(self, x: Tensor) -> Tensor:
        y = self.product(x.reshape(-1, self.inputs), self.matrix())
        if self.bias is not None:
            y = y + self.bias
        y = y.reshape(*x.shape[:-1], self.outputs)
        if self.lora_scale != 0.0:
            y = y + self.lora_scale * self.lora_B(self.lora_A(x))
        return y

    @torch.no_grad()
    def merge_lora(self) -> None:
        """W += alpha / rank * (B A), in this layer's layout; the adapter is then gone."""
        change = self.lora_scale * (self.lora_B.weight @ self.lora_A.weight)
        self.weight += change if type(self) is Linear else change.T
        del self.lora_A, self.lora_B
        self.lora_scale = 0.0


class Conv1D(Linear):
    """The same layer as GPT-2's checkpoints store it, (in, out)."""

    def weight_shape(self) -> tuple[int, int]:
        return (self.inputs, self.outputs)

    def matrix(self) -> Tensor:
        return self.weight


def attention_mask(segments_BT: Tensor, causal: bool) -> Tensor:
    """(B, T, T), true where query t attends key s: the same run of equal segment numbers, none of it padding (-1)."""
    _, t = segments_BT.shape
    starts = torch.ones_like(segments_BT, dtype=torch.bool)
    starts[:, 1:] = segments_BT[:, 1:] != segments_BT[:, :-1]
    runs_BT = starts.long().cumsum(1)
    allowed = (runs_BT[:, :, None] == runs_BT[:, None, :]) & (segments_BT >= 0)[:, :, None]
    if causal:
        allowed &= torch.ones(t, t, dtype=torch.bool, device=segments_BT.device).tril()
    return allowed


def attention(query_BTC: Tensor, key_BTC: Tensor, value_BTC: Tensor, heads: int, allowed_BTT: Tensor,
              product: Product, scale: float = 1.0) -> Tensor:
    """`scale` besides 1 / sqrt(D). A query that may attend nothing gives zero."""
    b, t, c = query_BTC.shape
    d = c // heads

    def split(x: Tensor) -> Tensor:
        return x.reshape(b, t, heads, d).transpose(1, 2)

    scores = product(split(query_BTC), split(key_BTC).transpose(2, 3)) * (scale / math.sqrt(d))
    allowed = allowed_BTT[:, None]
    has_any = allowed.any(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(~allowed & has_any, -math.inf), dim=-1) * has_any
    return product(weights, split(value_BTC)).transpose(1, 2).reshape(b, t, c)


def gelu(x: Tensor) -> Tensor:
    """With the error function."""
    return F.gelu(x)


def gelu_new(x: Tensor) -> Tensor:
    """With the hyperbolic tangent, as GPT-2's."""
    return F.gelu(x, approximate="tanh")


def set_precision(model: nn.Module, precision: str, attention_precision: str | None = None) -> None:
    """Of the products of linear layers and output layers, and of attention's, which are the same unless said."""
    for module in model.modules():
        if hasattr(module, "product"):
            module.product = PRODUCTS[(attention_precision or precision) if hasattr(module, "heads") else precision]


def add_lora(model: nn.Module, lora: Lora) -> list[str]:
    """Adapts every linear layer whose name ends in a target, freezes all else and returns the adapted names."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    adapted = [name for name, module in model.named_modules() if isinstance(module, Linear) and lora.covers(name)]
    for name in adapted:
        layer = model.get_submodule(name)
        assert isinstance(layer, Linear)
        layer.add_lora(lora)
    return adapted


def merge_lora(model: nn.Module) -> None:
    for module in list(model.modules()):
        if isinstance(module, Linear) and module.lora_scale != 0.0:
            module.merge_lora()
