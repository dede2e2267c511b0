"""GPT-2 with its heads in plain PyTorch: what the native engine is compared with.

A second GPT-2 beside gpt2_reference.py, which is tuned for training speed: this one knows padding, packed documents,
positions, LoRA and bf16 products. Parameters carry the names of Hugging Face's GPT2LMHeadModel and its siblings; a
multiple choice has one linear output on the last token, as BioMedLM's fine-tuning does it. No dropout.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from head_losses import Batch, LossOptions, head_loss
from model_config import Config
from reference_parts import Conv1D, Linear, attention, attention_mask, gelu_new


class Attention(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.heads = config.n_heads
        self.scale = 1.0 / (layer + 1) if config.inverse_layer_scale else 1.0
        self.c_attn = Conv1D(config.d_model, 3 * config.d_model)
        self.c_proj = Conv1D(config.d_model, config.d_model)
        self.product = torch.matmul

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        query, key, value = self.c_attn(x).split(x.shape[-1], dim=-1)
        return self.c_proj(attention(query, key, value, self.heads, allowed, self.product, self.scale))


class FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.c_fc = Conv1D(config.d_model, config.d_inner)
        self.c_proj = Conv1D(config.d_inner, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(gelu_new(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x), allowed)
        return x + self.mlp(self.ln_2(x))


class Gpt2Model(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.d_model)
        self.wpe = nn.Embedding(config.max_seq_len, config.d_model)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.ln_f = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)

    def forward(self, batch: Batch) -> Tensor:
        allowed = attention_mask(batch.segments_or_one(), causal=True)
        x = self.wte(batch.tokens) + self.wpe(batch.positions_or_all())
        for block in self.h:
            x = block(x, allowed)
        return self.ln_f(x)


class Gpt2WithHead(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Gpt2Model(config)
        self.product = torch.matmul
        if config.head == "sequence-classification":
            self.score = Linear(config.d_model, config.labels, bias=False)
        elif config.head == "span-qa":
            self.qa_outputs = Linear(config.d_model, 2)
        elif config.head == "multiple-choice":
            self.classifier = Linear(config.d_model, 1)
        elif config.head == "token-classification":
            self.classifier = Linear(config.d_model, config.labels)
        elif config.head != "causal-lm":
            raise ValueError(f"GPT-2 has no head {config.head}")

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        hidden = self.transformer(batch)
        head = self.config.head
        if head == "causal-lm":
            flat = self.product(hidden.reshape(-1, hidden.shape[-1]), self.transformer.wte.weight.T)
            return flat.reshape(*hidden.shape[:-1], -1), None
        if head == "span-qa":
            return self.qa_outputs(hidden), None
        if head == "token-classification":
            return self.classifier(hidden), None
        last = hidden[torch.arange(len(hidden)), batch.last_tokens()]
        if head == "multiple-choice":
            return self.classifier(last).reshape(-1, batch.choices), None
        return self.score(last), None

    def loss(self, batch: Batch, options: LossOptions = LossOptions()) -> Tensor:
        """Targets are given, so a causal language model's are the caller's shifted tokens."""
        logits, _ = self(batch)
        return head_loss(self.config.head, logits, None, batch, options)

    @torch.no_grad()
    def generate(self, prompt: list[int], new_tokens: int) -> tuple[list[int], float]:
        """The likeliest token each time, reading the whole text anew; also the smallest lead of one over the next."""
        tokens, smallest_lead = list(prompt), float("inf")
        for _ in range(new_tokens):
            logits, _ = self(Batch(torch.tensor([tokens])))
            best = logits[0, -1].topk(2)
            smallest_lead = min(smallest_lead, float(best.values[0] - best.values[1]))
            tokens.append(int(best.indices[0]))
        return tokens[len(prompt):], smallest_lead
