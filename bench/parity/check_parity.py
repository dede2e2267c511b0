"""Compares what the native engine computed with PyTorch in fp32, from a folder that the parity test leaves behind.

    python3 bench/parity/check_parity.py FOLDER      prints a JSON report; exit status 1 when something does not agree

FOLDER holds case.json {config, gradients: {tokens, batch, seqLen}, logits: {tokens}, training: {cache, shuffleSeed,
seqLen, globalBatchSize, steps, lr, betas, eps, weightDecay, noDecay, clipping}, engine: {loss, losses, gradNorms}},
initial.safetensors and trained.safetensors as the engine wrote them, logits.f32 and gradients/<tensor>.f32.

Agreement: gradients and logits by relative L2 distance under 1e-4 (absolute under 1e-6 where the reference vanishes);
the key part of each attention bias absolutely, because its true gradient is zero: softmax ignores what is added to all
scores of a query. Losses relatively under 1e-5 at the start and 1e-4 after training.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy
import torch

sys.path.insert(0, str(Path(__file__).parent))
from data_order import SampleSequence, window_count  # noqa: E402
from gpt2_reference import Config, DecoupledAdamW, Gpt2, train_step  # noqa: E402
from safetensors_plain import read_safetensors  # noqa: E402

RELATIVE_L2 = 1e-4
ABSOLUTE_FLOOR = 1e-6
START_LOSS = 1e-5
TRAINED_LOSS = 1e-4


class Report:
    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.failures: list[str] = []

    def vector(self, name: str, ours: numpy.ndarray, theirs: numpy.ndarray) -> float:
        """Relative L2 distance; a failure when it and the absolute distance are too large."""
        if ours.shape != theirs.shape:
            self.failures.append(f"{name}: {ours.shape} values where {theirs.shape} were expected")
            return float("inf")
        distance = float(numpy.linalg.norm(ours.astype(numpy.float64) - theirs.astype(numpy.float64)))
        relative = distance / max(float(numpy.linalg.norm(theirs.astype(numpy.float64))), 1e-30)
        if not (relative < RELATIVE_L2 or distance < ABSOLUTE_FLOOR):
            self.failures.append(f"{name}: relative L2 distance {relative:.3g}, absolute {distance:.3g}")
        return relative

    def number(self, name: str, ours: float, theirs: float, limit: float) -> None:
        if not abs(ours - theirs) <= limit * abs(theirs):
            self.failures.append(f"{name}: {ours!r} here, {theirs!r} in PyTorch")


def read_floats(path: Path) -> numpy.ndarray:
    return numpy.fromfile(path, dtype="<f4")


def config_of(case: dict) -> Config:
    c = case["config"]
    return Config(c["vocabSize"], c["maxSeqLen"], c["nLayers"], c["nHeads"], c["dModel"], c["dInner"], c["layerNormEps"])


def check_gradients(folder: Path, case: dict, report: Report) -> None:
    model = Gpt2(config_of(case))
    model.load(str(folder / "initial.safetensors"))
    request = case["gradients"]
    tokens = torch.tensor(request["tokens"]).reshape(request["batch"], request["seqLen"] + 1)
    loss = model.loss(tokens)
    loss.backward()
    report.values["loss"] = {"engine": case["engine"]["loss"], "pytorch": float(loss.detach())}
    report.number("loss", case["engine"]["loss"], float(loss.detach()), START_LOSS)
    worst: dict[str, float] = {}
    for name, parameter in model.parameters.items():
        theirs = parameter.grad.numpy().reshape(-1)
        ours = read_floats(folder / "gradients" / f"{name}.f32")
        if name.endswith("attn.c_attn.bias"):
            width = model.config.d_model
            key = slice(width, 2 * width)
            largest = float(numpy.abs(ours[key]).max())
            report.values[f"{name} (keys, absolute)"] = largest
            if not largest < ABSOLUTE_FLOOR:
                report.failures.append(f"gradient of the key part of {name}: {largest:.3g} where zero is true")
            ours, theirs = numpy.delete(ours, key), numpy.delete(theirs, key)
        worst[name] = report.vector(f"gradient of {name}", ours, theirs)
    report.values["worst gradient"] = max(worst.items(), key=lambda item: item[1])
    logits = model.logits(torch.tensor([case["logits"]["tokens"]])).detach().numpy().reshape(-1)
    report.values["logits"] = report.vector("logits", read_floats(folder / "logits.f32"), logits)


def check_training(folder: Path, case: dict, report: Report) -> None:
    training = case["training"]
    cache = Path(training["cache"])
    text = numpy.fromfile(cache / "tokens.bin", dtype="<u2").astype(numpy.int64)
    seq_len, batch = training["seqLen"], training["globalBatchSize"]
    sequence = SampleSequence(window_count(len(text), seq_len), training["shuffleSeed"])
    model = Gpt2(config_of(case))
    model.load(str(folder / "initial.safetensors"))
    optimizer = DecoupledAdamW(model.parameters, training["lr"], tuple(training["betas"]), training["eps"],
                               training["weightDecay"], training["noDecay"])
    losses: list[float] = []
    norms: list[float] = []
    for step in range(1, training["steps"] + 1):
        windows = [sequence.window_of(sample) for sample in range((step - 1) * batch, step * batch)]
        tokens = torch.from_numpy(numpy.stack([text[w * seq_len:w * seq_len + seq_len + 1] for w in windows]))
        loss, norm = train_step(model, optimizer, tokens, training["lr"], training["clipping"])
        losses.append(loss)
        norms.append(norm)
    report.values["losses"] = {"engine": case["engine"]["losses"], "pytorch": losses}
    for index, (ours, theirs) in enumerate(zip(case["engine"]["losses"], losses, strict=True)):
        report.number(f"loss of step {index + 1}", ours, theirs, START_LOSS if index == 0 else TRAINED_LOSS)
    for index, (ours, theirs) in enumerate(zip(case["engine"]["gradNorms"], norms, strict=True)):
        report.number(f"gradient norm of step {index + 1}", ours, theirs, 10 * TRAINED_LOSS)


def check_checkpoint(folder: Path, case: dict, report: Report) -> None:
    tensors, metadata = read_safetensors(folder / "trained.safetensors")
    expected = {entry["name"]: tuple(entry["shape"]) for entry in case["parameters"]}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected or metadata != {"format": "pt"}:
        report.failures.append("trained.safetensors does not hold the model's tensors, or not {'format': 'pt'}")
    sums = {name: sum(numpy.frombuffer(tensor.values, dtype="<f4").astype(numpy.float64)) for name, tensor in tensors.items()}
    for name, ours in case["engine"]["sums"].items():
        report.number(f"sum of {name} in trained.safetensors", ours, float(sums[name]), 1e-9)
    report.values["tensors read back"] = len(tensors)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    report = Report()
    check_gradients(folder, case, report)
    check_training(folder, case, report)
    check_checkpoint(folder, case, report)
    print(json.dumps({"ok": not report.failures, "failures": report.failures, **report.values}, indent=2))
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
