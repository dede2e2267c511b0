"""GPT-2 in plain PyTorch, with Assay's optimizer and schedule: what the native engine is compared with.

Written for being obviously right, with the fastest forms that PyTorch 1.13 has where they say the same. Parameters
carry Hugging Face's names and Conv1D layout (in, out). Shapes: B sequences, T positions, C width, H heads, D = C / H,
V vocabulary.
"""
from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import Iterable, Mapping

import torch
import torch.nn.functional as F

from safetensors_plain import Tensor, read_safetensors, write_safetensors


@dataclass(frozen=True)
class Config:
    vocab_size: int
    max_seq_len: int
    n_layers: int
    n_heads: int
    d_model: int
    d_inner: int = 0  # 0: 4 * d_model
    layer_norm_eps: float = 1e-5

    @property
    def inner(self) -> int:
        return self.d_inner or 4 * self.d_model


def parameter_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    c, inner = config.d_model, config.inner
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (config.vocab_size, c),
        "transformer.wpe.weight": (config.max_seq_len, c),
    }
    for layer in range(config.n_layers):
        h = f"transformer.h.{layer}."
        shapes |= {
            h + "ln_1.weight": (c,), h + "ln_1.bias": (c,),
            h + "attn.c_attn.weight": (c, 3 * c), h + "attn.c_attn.bias": (3 * c,),
            h + "attn.c_proj.weight": (c, c), h + "attn.c_proj.bias": (c,),
            h + "ln_2.weight": (c,), h + "ln_2.bias": (c,),
            h + "mlp.c_fc.weight": (c, inner), h + "mlp.c_fc.bias": (inner,),
            h + "mlp.c_proj.weight": (inner, c), h + "mlp.c_proj.bias": (c,),
        }
    shapes |= {"transformer.ln_f.weight": (c,), "transformer.ln_f.bias": (c,)}
    return shapes


def gelu_new(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x, approximate="tanh")


class Gpt2:
    """Parameters by name, and what is computed from them. No dropout."""

    def __init__(self, config: Config, dtype: torch.dtype = torch.float32) -> None:
        self.config = config
        self.parameters = {
            name: torch.zeros(shape, dtype=dtype, requires_grad=True) for name, shape in parameter_shapes(config).items()
        }
        self._mask = torch.full((config.max_seq_len, config.max_seq_len), -math.inf, dtype=dtype).triu(1)

    def initialize(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if ".ln_" in name:
                    parameter.fill_(1.0 if name.endswith("weight") else 0.0)
                elif name.endswith("bias"):
                    parameter.zero_()
                else:
                    deviation = 0.02 / math.sqrt(2 * self.config.n_layers) if "c_proj" in name else 0.02
                    parameter.normal_(0.0, deviation, generator=generator)

    def load(self, path: str) -> None:
        tensors, _ = read_safetensors(path)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                tensor = tensors.get(name) or tensors[name.removeprefix("transformer.")]
                parameter.copy_(torch.frombuffer(tensor.values, dtype=torch.float32).reshape(tensor.shape))

    def save(self, path: str) -> None:
        import array

        write_safetensors(path, {
            name: Tensor(tuple(p.shape), array.array("f", p.detach().float().contiguous().numpy().tobytes()))
            for name, p in self.parameters.items()
        }, {"format": "pt"})

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        p = self.parameters
        return F.layer_norm(x, (self.config.d_model,), p[name + ".weight"], p[name + ".bias"], self.config.layer_norm_eps)

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        # addmm adds the bias inside the product, which is faster than x @ w + b.
        p = self.parameters
        weight = p[name + ".weight"]
        flat = torch.addmm(p[name + ".bias"], x.reshape(-1, x.shape[-1]), weight)
        return flat.view(*x.shape[:-1], weight.shape[1])

    def _attention(self, x_BTC: torch.Tensor, h: str) -> torch.Tensor:
        b, t, c = x_BTC.shape
        heads = self.config.n_heads
        d = c // heads
        query, key, value = self._linear(x_BTC, h + "attn.c_attn").split(c, dim=2)
        query_BHTD = query.reshape(b, t, heads, d).transpose(1, 2).reshape(b * heads, t, d)
        key_BHTD = key.reshape(b, t, heads, d).transpose(1, 2).reshape(b * heads, t, d)
        value_BHTD = value.reshape(b, t, heads, d).transpose(1, 2).reshape(b * heads, t, d)
        # baddbmm scales and masks inside the product.
        mask = self._mask[:t, :t].expand(b * heads, t, t)
        scores = torch.baddbmm(mask, query_BHTD, key_BHTD.transpose(1, 2), alpha=1.0 / math.sqrt(d))
        mixed = torch.bmm(torch.softmax(scores, dim=-1), value_BHTD)
        mixed = mixed.view(b, heads, t, d).transpose(1, 2).reshape(b, t, c)
        return self._linear(mixed, h + "attn.c_proj")

    def hidden(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        p = self.parameters
        t = tokens_BT.shape[1]
        x = F.embedding(tokens_BT, p["transformer.wte.weight"]) + p["transformer.wpe.weight"][:t]
        for layer in range(self.config.n_layers):
            h = f"transformer.h.{layer}."
            x = x + self._attention(self._norm(x, h + "ln_1"), h)
            x = x + self._linear(gelu_new(self._linear(self._norm(x, h + "ln_2"), h + "mlp.c_fc")), h + "mlp.c_proj")
        return self._norm(x, "transformer.ln_f")

    def logits(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        return self.hidden(tokens_BT) @ self.parameters["transformer.wte.weight"].T

    def loss(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mean over all predictions of windows (B, T + 1)."""
        logits = self.logits(tokens[:, :-1])
        return F.cross_entropy(logits.reshape(-1, self.config.vocab_size), tokens[:, 1:].reshape(-1))


class DecoupledAdamW:
    """Composer's: p *= 1 - weight_decay * lr / lr_0, and epsilon after the square root. Uses PyTorch's foreach forms."""

    def __init__(self, parameters: Mapping[str, torch.Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.95),
                 eps: float = 1e-8, weight_decay: float = 1e-5, no_decay: Iterable[str] = ()) -> None:
        self.initial_lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        patterns = tuple(no_decay)
        is_exempt = {name: any(fnmatch.fnmatchcase(name, each) for each in patterns) for name in parameters}
        self.decaying = [p for name, p in parameters.items() if not is_exempt[name]]
        self.all = list(parameters.values())
        self.exp_avg = [torch.zeros_like(p, requires_grad=False) for p in self.all]
        self.exp_avg_sq = [torch.zeros_like(p, requires_grad=False) for p in self.all]
        self.step_count = 0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        self.step_count += 1
        beta1, beta2 = self.betas
        gradients = [p.grad for p in self.all]
        torch._foreach_mul_(self.decaying, 1.0 - self.weight_decay * (lr / self.initial_lr))
        torch._foreach_mul_(self.exp_avg, beta1)
        torch._foreach_add_(self.exp_avg, gradients, alpha=1.0 - beta1)
        torch._foreach_mul_(self.exp_avg_sq, beta2)
        torch._foreach_addcmul_(self.exp_avg_sq, gradients, gradients, 1.0 - beta2)
        denominators = torch._foreach_sqrt(self.exp_avg_sq)
        torch._foreach_div_(denominators, math.sqrt(1.0 - beta2**self.step_count))
        torch._foreach_add_(denominators, self.eps)
        torch._foreach_addcdiv_(self.all, self.exp_avg, denominators, -lr / (1.0 - beta1**self.step_count))


def clip_gradients(parameters: Iterable[torch.Tensor], limit: float | None) -> float:
    """Scales the gradients to a global norm of at most `limit`; returns the norm before."""
    gradients = [p.grad for p in parameters]
    norm = torch.stack([g.norm() for g in gradients]).norm()
    if limit is not None:
        scale = limit / (float(norm) + 1e-6)
        if scale < 1.0:
            torch._foreach_mul_(gradients, scale)
    return float(norm)


def cosine_with_warmup(step: int, total_steps: int, warmup_steps: int, lr: float, alpha_f: float) -> float:
    """The rate of update number `step`, counted from 0: linear from 0 to lr, then a half cosine down to alpha_f * lr."""
    if step < warmup_steps:
        return lr * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return lr * (alpha_f + (1.0 - alpha_f) * 0.5 * (1.0 + math.cos(math.pi * progress)))


def train_step(model: Gpt2, optimizer: DecoupledAdamW, tokens: torch.Tensor, lr: float,
               clipping: float | None, autocast: bool = False) -> tuple[float, float]:
    """One update from (B, T + 1) tokens; returns loss and gradient norm. `autocast`: PyTorch's bf16 mixed precision."""
    for parameter in model.parameters.values():
        parameter.grad = None
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = model.loss(tokens)
    loss.backward()
    norm = clip_gradients(model.parameters.values(), clipping)
    optimizer.step(lr)
    return float(loss.detach()), norm
