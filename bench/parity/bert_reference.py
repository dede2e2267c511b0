"""BERT and Megatron's BERT in plain PyTorch with their heads: what the native engine is compared with.

BERT normalises after each residual sum (Devlin et al. 2018). Megatron's normalises before each part and once at the end
(Shoeybi et al. 2019, figure 7), and its embeddings not at all. Parameters carry the names of Hugging Face's
BertForPreTraining, MegatronBertForPreTraining and their heads. No dropout.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from head_losses import Batch, LossOptions, head_loss
from model_config import Config
from reference_parts import Linear, attention, attention_mask, gelu

POOLED_HEADS = ("pretraining", "multiple-choice", "sequence-classification")


class Embeddings(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embeddings = nn.Embedding(config.max_seq_len, config.d_model)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.d_model)
        if config.family == "bert":
            self.LayerNorm = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)

    def forward(self, batch: Batch) -> Tensor:
        types = torch.zeros_like(batch.tokens) if batch.token_types is None else batch.token_types
        x = self.word_embeddings(batch.tokens) + self.position_embeddings(batch.positions_or_all())
        x = x + self.token_type_embeddings(types)
        return self.LayerNorm(x) if hasattr(self, "LayerNorm") else x


class SelfAttention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.n_heads
        self.query = Linear(config.d_model, config.d_model)
        self.key = Linear(config.d_model, config.d_model)
        self.value = Linear(config.d_model, config.d_model)
        self.product = torch.matmul

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        return attention(self.query(x), self.key(x), self.value(x), self.heads, allowed, self.product)


class Output(nn.Module):
    """A projection back to the residual; BERT's normalises the sum."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.dense = Linear(inputs, config.d_model)
        if config.family == "bert":
            self.LayerNorm = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        total = self.dense(x) + residual
        return self.LayerNorm(total) if hasattr(self, "LayerNorm") else total


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.family == "megatron_bert":
            self.ln = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)
        self.self = SelfAttention(config)
        self.output = Output(config, config.d_model)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        normalised = self.ln(x) if hasattr(self, "ln") else x
        return self.output(self.self(normalised, allowed), x)


class Intermediate(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = Linear(config.d_model, config.d_inner)

    def forward(self, x: Tensor) -> Tensor:
        return gelu(self.dense(x))


class Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        if config.family == "megatron_bert":
            self.ln = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)
        self.intermediate = Intermediate(config)
        self.output = Output(config, config.d_inner)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        x = self.attention(x, allowed)
        normalised = self.ln(x) if hasattr(self, "ln") else x
        return self.output(self.intermediate(normalised), x)


class Encoder(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        if config.family == "megatron_bert":
            self.ln = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x, allowed)
        return self.ln(x) if hasattr(self, "ln") else x


class Pooler(nn.Module):
    """tanh of a projection of the first token."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = Linear(config.d_model, config.d_model)

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.tanh(self.dense(hidden[:, 0]))


class BertModel(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        if config.head in POOLED_HEADS:
            self.pooler = Pooler(config)

    def forward(self, batch: Batch) -> Tensor:
        return self.encoder(self.embeddings(batch), attention_mask(batch.segments_or_one(), causal=False))


class PredictionTransform(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = Linear(config.d_model, config.d_model)
        self.LayerNorm = nn.LayerNorm(config.d_model, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.LayerNorm(gelu(self.dense(hidden)))


class Predictions(nn.Module):
    """Logits over the vocabulary through the token embedding, which is tied, and a bias of its own."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.product = torch.matmul

    def forward(self, hidden: Tensor, token_weight: Tensor) -> Tensor:
        x = self.transform(hidden)
        return self.product(x.reshape(-1, x.shape[-1]), token_weight.T).reshape(*x.shape[:-1], -1) + self.bias


class PreTrainingHeads(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.predictions = Predictions(config)
        if config.head == "pretraining":
            self.seq_relationship = Linear(config.d_model, 2)


class Bert(nn.Module):
    """Encoder and the head that the configuration names."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        if config.head in ("masked-lm", "pretraining"):
            self.cls = PreTrainingHeads(config)
        elif config.head == "span-qa":
            self.qa_outputs = Linear(config.d_model, 2)
        else:
            self.classifier = Linear(config.d_model, 1 if config.head == "multiple-choice" else config.labels)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The head's logits, and those of the sentence order where the head has them."""
        hidden = self.bert(batch)
        head = self.config.head
        if head in ("masked-lm", "pretraining"):
            logits = self.cls.predictions(hidden, self.bert.embeddings.word_embeddings.weight)
            return logits, self.cls.seq_relationship(self.bert.pooler(hidden)) if head == "pretraining" else None
        if head == "span-qa":
            return self.qa_outputs(hidden), None
        if head == "token-classification":
            return self.classifier(hidden), None
        logits = self.classifier(self.bert.pooler(hidden))
        return (logits.reshape(-1, batch.choices) if head == "multiple-choice" else logits), None

    def loss(self, batch: Batch, options: LossOptions = LossOptions()) -> Tensor:
        logits, sentence_logits = self(batch)
        return head_loss(self.config.head, logits, sentence_logits, batch, options)
