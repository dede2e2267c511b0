"""The shape of a reference model, spelled in JSON as the engine's own model configuration, and the models by family."""
from __future__ import annotations

from dataclasses import dataclass

HEADS = {
    "gpt2": ("causal-lm", "sequence-classification", "token-classification", "multiple-choice", "span-qa"),
    "bert": ("masked-lm", "pretraining", "multiple-choice", "sequence-classification", "token-classification", "span-qa"),
}
HEADS["megatron_bert"] = HEADS["bert"]


@dataclass(frozen=True)
class Config:
    family: str
    head: str
    vocab_size: int
    max_seq_len: int
    n_layers: int
    n_heads: int
    d_model: int
    d_inner: int
    type_vocab_size: int = 0
    labels: int = 1
    layer_norm_eps: float = 1e-5
    inverse_layer_scale: bool = False  # attention scores of layer i, from 0, divided by i + 1 (BioMedLM)

    def to_json(self) -> dict[str, object]:
        return {
            "family": self.family, "head": self.head, "vocabSize": self.vocab_size, "maxSeqLen": self.max_seq_len,
            "nLayers": self.n_layers, "nHeads": self.n_heads, "dModel": self.d_model, "dInner": self.d_inner,
            "typeVocabSize": self.type_vocab_size, "labels": self.labels, "layerNormEps": self.layer_norm_eps,
            "embdPdrop": 0, "attnPdrop": 0, "residPdrop": 0, "classifierPdrop": 0,
            "activation": "gelu_new" if self.family == "gpt2" else "gelu",
        }
