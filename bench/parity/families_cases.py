"""Writes small models of every family and head, batches that are hard on them, and what PyTorch computes from them.

    python3 bench/parity/families_cases.py --out DIR [--family NAME] [--head NAME] [--adapters]

DIR/cases.json lists the cases; each is a folder with
    case.json             the engine's model configuration, the batch, the options of the loss, the losses expected
    weights.safetensors   random weights under Hugging Face's names
    adapter.safetensors   where the case has one: LoRA matrices, and a small head, under PEFT's names
    fp32.safetensors      `logits`, `sentence_logits` of pretraining, `gradient.<tensor>` of every trained tensor
    bf16.safetensors      the same where linear and output layers round their operands to bf16
    merged.safetensors    with an adapter: all weights with the adapter added
The language model of GPT-2 also writes the text that it generates greedily, and some cases the losses of training on their
batch, with moments in fp32 and in 8 bits. Everything follows from fixed seeds.
"""
from __future__ import annotations

import argparse
import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bert_reference import Bert
from block_adamw_reference import BlockAdamW
from gpt2_heads_reference import Gpt2WithHead
from gpt2_reference import DecoupledAdamW, clip_gradients
from head_losses import Batch, LossOptions
from model_config import HEADS, Config
from reference_parts import Lora, add_lora, merge_lora, set_precision
from tensor_files import write_tensors

ROWS, LENGTH, CHOICES, LABELS = 6, 19, 3, 5
SMALL_HEADS = ("classifier.", "score.", "qa_outputs.", "cls.seq_relationship.")
TRAINING = {"lr": 3e-3, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 1e-2}
TRAINED_STEPS, CLIPPING = 25, 1.0
PRECISIONS = ("fp32", "bf16")
# The engine rounds the operands of linear and output layers; attention between them stays in fp32.
ATTENTION_PRECISION = "fp32"


@dataclass(frozen=True)
class Case:
    config: Config
    options: LossOptions = LossOptions()
    lora: Lora | None = None
    is_packed: bool = False  # several documents a row, each with positions of its own
    generates: bool = False
    trains: bool = False

    @property
    def name(self) -> str:
        return f"{self.config.family}-{self.config.head}{'-packed' if self.is_packed else ''}{'-lora' if self.lora else ''}"


def build(config: Config) -> nn.Module:
    return Gpt2WithHead(config) if config.family == "gpt2" else Bert(config)


def randomize(model: nn.Module, seed: int) -> None:
    """Every tensor off its usual first value: norms and biases too must matter, LoRA's B must not be zero. Attention that
    prefers some keys has gradients that are more than what rounding leaves.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.15, generator=generator)
            if name.endswith("weight") and parameter.dim() == 1:
                parameter.add_(1.0)
            elif name.endswith(("query.weight", "key.weight")):
                parameter.mul_(1.35)
            elif name.endswith("c_attn.weight"):
                parameter[:, : 2 * parameter.shape[0]].mul_(1.35)


def padded_segments(lengths: list[int]) -> Tensor:
    segments = torch.full((ROWS, LENGTH), -1)
    for row, length in enumerate(lengths):
        segments[row, :length] = 0
    return segments


def packed_segments(generator: torch.Generator) -> Tensor:
    """Documents of two to six tokens; some rows are padded at the end."""
    segments = torch.full((ROWS, LENGTH), -1)
    for row in range(ROWS):
        at, document = 0, 0
        end = LENGTH - (row % 3)
        while at < end:
            length = int(torch.randint(2, 7, (1,), generator=generator))
            segments[row, at:min(at + length, end)] = document
            at, document = at + length, document + 1
    return segments


def positions_in_documents(segments: Tensor) -> Tensor:
    positions = torch.zeros_like(segments)
    for column in range(1, segments.shape[1]):
        same = segments[:, column] == segments[:, column - 1]
        positions[:, column] = torch.where(same, positions[:, column - 1] + 1, 0)
    return positions


def make_batch(case: Case, seed: int) -> Batch:
    config = case.config
    generator = torch.Generator().manual_seed(seed)

    def draw(limit: int, *shape: int) -> Tensor:
        return torch.randint(0, limit, shape, generator=generator)

    lengths = [LENGTH, 11, 7, LENGTH - 1, 3, 14]
    segments = packed_segments(generator) if case.is_packed else padded_segments(lengths)
    batch = Batch(draw(config.vocab_size, ROWS, LENGTH), segments=segments)
    if case.is_packed:
        batch.positions = positions_in_documents(segments)
    if config.type_vocab_size > 0:
        batch.token_types = draw(config.type_vocab_size, ROWS, LENGTH)
    is_text = segments >= 0
    if config.head == "causal-lm":
        follows = torch.zeros_like(is_text)
        follows[:, :-1] = segments[:, 1:] == segments[:, :-1]
        batch.targets = torch.where(follows & is_text, batch.tokens.roll(-1, 1), -1)
    elif config.head in ("masked-lm", "pretraining"):
        chosen = (torch.rand(ROWS, LENGTH, generator=generator) < 0.3) & is_text
        batch.targets = torch.where(chosen, draw(config.vocab_size, ROWS, LENGTH), -100)
        if config.head == "pretraining":
            batch.sentence_targets = draw(2, ROWS)
            batch.sentence_targets[2] = -1
    elif config.head == "token-classification":
        chosen = (torch.rand(ROWS, LENGTH, generator=generator) < 0.7) & is_text
        batch.targets = torch.where(chosen, draw(config.labels, ROWS, LENGTH), -100)
    elif config.head == "sequence-classification":
        batch.targets = torch.tensor([1, 4, -1, 0, 2, 1])
    elif config.head == "multiple-choice":
        batch.choices = CHOICES
        batch.targets = draw(CHOICES, ROWS // CHOICES)
    else:
        batch.targets = torch.stack([torch.arange(ROWS) % 3, torch.tensor(lengths) - 1], 1)
        batch.targets[1] = -1
    return batch


def make_case(family: str, head: str, **changes: object) -> Case:
    """Sizes that divide by little: 3 heads of 20, vocabulary 71, feed-forward 84."""
    has_labels = head in ("sequence-classification", "token-classification")
    config = Config(
        family=family, head=head, vocab_size=71, max_seq_len=37, n_layers=3 if family == "megatron_bert" else 2, n_heads=3,
        d_model=60, d_inner=84, type_vocab_size=0 if family == "gpt2" else 2, labels=LABELS if has_labels else 1,
        layer_norm_eps=1e-5 if family == "gpt2" else 1e-12,
    )
    return Case(config, **changes)  # type: ignore[arg-type]


def all_cases() -> list[Case]:
    options = {
        ("gpt2", "sequence-classification"): LossOptions(class_weights=(0.5, 2.0, 1.0, 3.0, 0.25)),
        ("bert", "sequence-classification"): LossOptions(0.1, (0.5, 2.0, 1.0, 3.0, 0.25)),
        ("bert", "token-classification"): LossOptions(class_weights=(0.2, 1.0, 2.0, 0.7, 1.5)),
        ("megatron_bert", "token-classification"): LossOptions(label_smoothing=0.2),
        ("megatron_bert", "multiple-choice"): LossOptions(label_smoothing=0.1),
        ("megatron_bert", "masked-lm"): LossOptions(label_smoothing=0.1),
    }
    cases = [make_case(family, head, options=options.get((family, head), LossOptions()),
                       generates=(family, head) == ("gpt2", "causal-lm"),
                       trains=head in ("causal-lm", "pretraining", "sequence-classification"))
             for family, heads in HEADS.items() for head in heads]
    cases += [
        make_case("gpt2", "causal-lm", is_packed=True, options=LossOptions(label_smoothing=0.1)),
        make_case("bert", "masked-lm", is_packed=True),
        make_case("megatron_bert", "pretraining", is_packed=True),
        make_case("gpt2", "causal-lm", trains=True, lora=Lora(4, 8.0, ("c_attn", "mlp.c_proj"))),
        make_case("gpt2", "causal-lm", is_packed=True, lora=Lora(3, 5.0, ("c_attn", "c_proj", "c_fc"))),
        make_case("bert", "masked-lm", lora=Lora(3, 6.0, ("query", "value", "intermediate.dense"))),
        make_case("megatron_bert", "masked-lm", lora=Lora(5, 5.0, ("query", "key", "value", "output.dense"))),
        make_case("gpt2", "sequence-classification", lora=Lora(2, 4.0, ("attn.c_proj", "c_fc"))),
        make_case("bert", "token-classification", lora=Lora(4, 4.0, ("key", "attention.output.dense"))),
    ]
    return cases


def batch_to_json(batch: Batch) -> dict[str, object]:
    rows, length = batch.tokens.shape
    names = {"tokens": batch.tokens, "tokenTypes": batch.token_types, "segments": batch.segments,
             "positions": batch.positions, "targets": batch.targets, "sentenceTargets": batch.sentence_targets}
    arrays = {name: values.reshape(-1).tolist() for name, values in names.items() if values is not None}
    return {"batch": rows, "seqLen": length, "choices": batch.choices, **arrays}


def expected_values(model: nn.Module, batch: Batch, options: LossOptions, precision: str) -> tuple[float, dict[str, Tensor]]:
    set_precision(model, precision, ATTENTION_PRECISION)
    model.zero_grad(set_to_none=True)
    loss = model.loss(batch, options)  # type: ignore[operator]
    loss.backward()
    logits, sentence_logits = model(batch)
    tensors = {"logits": logits.detach()}
    if sentence_logits is not None:
        tensors["sentence_logits"] = sentence_logits.detach()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} has no gradient"
            tensors[f"gradient.{name}"] = parameter.grad
    return float(loss.detach()), tensors


def greedy_texts(model: Gpt2WithHead, vocab_size: int) -> list[dict[str, object]]:
    """Prompts whose continuation no rounding can change: the best token leads the next by a clear margin.
    Strong positions keep a random model from repeating one token for ever.
    """
    with torch.no_grad():
        model.transformer.wpe.weight *= 6.0
    texts = []
    for seed in range(100):
        prompt = torch.randint(0, vocab_size, (3 + seed % 5,), generator=torch.Generator().manual_seed(seed)).tolist()
        ids, smallest_lead = model.generate(prompt, 24)
        if smallest_lead > 5e-3 and len(set(ids)) > 8:
            texts.append({"prompt": prompt, "ids": ids, "smallestLead": smallest_lead})
        if len(texts) == 4:
            break
    return texts


def training_losses(model: nn.Module, batch: Batch, options: LossOptions, optimizer_class: type[DecoupledAdamW]) -> list[float]:
    """Losses before each of some updates on the same batch, as the engine's trainBatch does them."""
    model = copy.deepcopy(model)
    set_precision(model, "fp32")
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = optimizer_class(trained, **TRAINING)
    losses = []
    for _ in range(TRAINED_STEPS):
        model.zero_grad(set_to_none=True)
        loss = model.loss(batch, options)  # type: ignore[operator]
        loss.backward()
        clip_gradients(trained.values(), CLIPPING)
        optimizer.step(TRAINING["lr"])
        losses.append(float(loss.detach()))
    return losses


def write_case(case: Case, folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    model = build(case.config)
    randomize(model, seed)
    description: dict[str, object] = {"name": case.name, "config": case.config.to_json()}
    if case.generates:
        description["greedy"] = greedy_texts(model, case.config.vocab_size)  # type: ignore[arg-type]
    write_tensors(folder / "weights.safetensors", model.state_dict())
    if case.lora is not None:
        base = set(model.state_dict())
        adapted = add_lora(model, case.lora)
        generator = torch.Generator().manual_seed(seed + 1)
        # A small head is new with the task, so it is trained and stored beside the adapters.
        adapter = {name: p for name, p in model.named_parameters() if name not in base or name.startswith(SMALL_HEADS)}
        with torch.no_grad():
            for parameter in adapter.values():
                parameter.requires_grad_(True)
                parameter.normal_(0.0, 0.15, generator=generator)
        write_tensors(folder / "adapter.safetensors", {f"base_model.model.{name}": p for name, p in adapter.items()})
        description["lora"] = {**asdict(case.lora), "dropout": 0, "adapted": adapted}
    batch = make_batch(case, seed + 2)
    losses = {}
    for precision in PRECISIONS:
        losses[precision], tensors = expected_values(model, batch, case.options, precision)
        write_tensors(folder / f"{precision}.safetensors", tensors)
    if case.trains:
        description["training"] = {
            "clipping": CLIPPING,
            "optimizer": {name: TRAINING[name] for name in ("lr", "betas", "eps")} | {"weightDecay": TRAINING["weight_decay"]},
            "losses": training_losses(model, batch, case.options, DecoupledAdamW),
            "losses8bit": training_losses(model, batch, case.options, BlockAdamW),
        }
    if case.lora is not None:
        merge_lora(model)
        write_tensors(folder / "merged.safetensors", model.state_dict())
    weights = case.options.class_weights
    description |= {
        "batch": batch_to_json(batch), "losses": losses, "labelSmoothing": case.options.label_smoothing,
        "classWeights": None if weights is None else list(weights),
    }
    (folder / "case.json").write_text(json.dumps(description), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--family", choices=sorted(HEADS))
    parser.add_argument("--head")
    parser.add_argument("--adapters", action="store_true", help="only the cases with low-rank adapters")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = []
    for index, case in enumerate(all_cases()):
        is_wanted = arguments.family in (None, case.config.family) and arguments.head in (None, case.config.head)
        if is_wanted and (case.lora is not None or not arguments.adapters):
            write_case(case, arguments.out / case.name, seed=1000 + 10 * index)
            names.append(case.name)
    (arguments.out / "cases.json").write_text(json.dumps(names), encoding="utf-8")


if __name__ == "__main__":
    main()
