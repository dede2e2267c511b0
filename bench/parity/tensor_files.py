"""PyTorch tensors into and out of safetensors files, through the plain reader and writer."""
from __future__ import annotations

import array
from pathlib import Path
from typing import Mapping

import torch

from safetensors_plain import Tensor, read_safetensors, write_safetensors


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """uint8 as U8, all else as F32."""
    plain = {}
    for name, tensor in tensors.items():
        is_bytes = tensor.dtype == torch.uint8
        values = tensor.detach().contiguous() if is_bytes else tensor.detach().float().contiguous()
        plain[name] = Tensor(tuple(tensor.shape), array.array("B" if is_bytes else "f", values.numpy().tobytes()))
    write_safetensors(path, plain, {"format": "pt"})


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    dtypes = {"f": torch.float32, "B": torch.uint8}
    tensors, _ = read_safetensors(path)
    return {
        name: torch.frombuffer(tensor.values, dtype=dtypes[tensor.values.typecode]).reshape(tensor.shape).clone()
        for name, tensor in tensors.items()
    }
