"""What the heads of the reference models share: which rows are scored, and the losses as torch.nn.CrossEntropyLoss
defines them. Targets below zero are not scored. Shapes as in reference_parts.py; K choices or classes.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NOT_SCORED = -100


@dataclass
class Batch:
    """What a model reads and is judged by; targets (B, T), (B), (B / choices) or (B, 2) by head."""

    tokens: Tensor  # (B, T)
    token_types: Tensor | None = None  # (B, T)
    segments: Tensor | None = None  # (B, T); -1 is padding
    positions: Tensor | None = None  # (B, T); else 0 … T - 1
    targets: Tensor | None = None
    sentence_targets: Tensor | None = None  # (B)
    choices: int = 1

    def segments_or_one(self) -> Tensor:
        return torch.zeros_like(self.tokens) if self.segments is None else self.segments

    def positions_or_all(self) -> Tensor:
        return torch.arange(self.tokens.shape[1]).expand_as(self.tokens) if self.positions is None else self.positions

    def last_tokens(self) -> Tensor:
        """(B), index of the last token of each row that is no padding."""
        t = torch.arange(self.tokens.shape[1]).expand_as(self.tokens)
        return torch.where(self.segments_or_one() >= 0, t, torch.full_like(t, -1)).amax(1)


@dataclass(frozen=True)
class LossOptions:
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None


def cross_entropy(logits: Tensor, targets: Tensor, options: LossOptions = LossOptions()) -> Tensor:
    """Mean over scored rows; with class weights the weighted mean."""
    weights = None if options.class_weights is None else torch.tensor(options.class_weights, dtype=logits.dtype)
    flat = torch.where(targets < 0, torch.full_like(targets, NOT_SCORED), targets).reshape(-1)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), flat, weight=weights, ignore_index=NOT_SCORED,
                           label_smoothing=options.label_smoothing)


def span_loss(logits_BT2: Tensor, batch: Batch, options: LossOptions) -> Tensor:
    """Mean of the losses of start and end; padding is no place where a span could begin or end."""
    assert batch.targets is not None
    logits_BT2 = logits_BT2.masked_fill((batch.segments_or_one() < 0)[:, :, None], -math.inf)
    if options.label_smoothing == 0.0:
        return 0.5 * sum(cross_entropy(logits_BT2[:, :, at], batch.targets[:, at]) for at in (0, 1))
    # Smoothing spreads over the places that count, which differ from row to row.
    total = logits_BT2.new_zeros(())
    for at in (0, 1):
        scored = [row for row in range(len(logits_BT2)) if int(batch.targets[row, at]) >= 0]
        for row in scored:
            places = batch.segments_or_one()[row] >= 0
            target = places[: int(batch.targets[row, at])].sum()[None]
            logits = logits_BT2[row, places, at][None]
            total = total + 0.5 * cross_entropy(logits, target, options) / len(scored)
    return total


def head_loss(head: str, logits: Tensor, sentence_logits: Tensor | None, batch: Batch, options: LossOptions) -> Tensor:
    if head == "span-qa":
        return span_loss(logits, batch, options)
    assert batch.targets is not None
    loss = cross_entropy(logits, batch.targets, options)
    if head == "pretraining":
        assert sentence_logits is not None and batch.sentence_targets is not None
        loss = loss + cross_entropy(sentence_logits, batch.sentence_targets, options)
    return loss
