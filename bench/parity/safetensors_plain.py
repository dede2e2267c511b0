"""Reads and writes safetensors files with the standard library alone.

A second reader, written from the format's description and sharing nothing with the engine, is what a checkpoint is
checked against. Only F32 and U8 are needed here. With numpy installed, pass the arrays through `numpy.frombuffer`.
"""
from __future__ import annotations

import array
import json
import struct
import sys
from pathlib import Path
from typing import Mapping, NamedTuple, Sequence


class Tensor(NamedTuple):
    shape: tuple[int, ...]
    values: array.array  # of type "f" (F32) or "B" (U8), row-major


DTYPES = {"F32": ("f", 4), "U8": ("B", 1)}


def _element_count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns the tensors by name, in the order of their bytes, and the metadata."""
    with open(path, "rb") as file:
        file_bytes = Path(path).stat().st_size
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        if 8 + header_bytes > file_bytes:
            raise ValueError(f"{path}: the header claims {header_bytes} bytes but the file has {file_bytes}")
        header = json.loads(file.read(header_bytes))
        metadata = header.pop("__metadata__", {})
        begin_of_data = 8 + header_bytes
        tensors: dict[str, Tensor] = {}
        expected_begin = 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            begin, end = entry["data_offsets"]
            if entry["dtype"] not in DTYPES:
                raise ValueError(f"{path}: tensor {name} is {entry['dtype']}; this reader knows F32 and U8")
            typecode, item_bytes = DTYPES[entry["dtype"]]
            if begin != expected_begin or end - begin != item_bytes * _element_count(entry["shape"]):
                raise ValueError(f"{path}: tensor {name} does not lie where its neighbours and its shape say")
            file.seek(begin_of_data + begin)
            values = array.array(typecode)
            values.frombytes(file.read(end - begin))
            if len(values) != (end - begin) // item_bytes:
                raise ValueError(f"{path}: tensor {name} is cut short")
            if sys.byteorder == "big":
                values.byteswap()
            tensors[name] = Tensor(tuple(entry["shape"]), values)
            expected_begin = end
        if begin_of_data + expected_begin != file_bytes:
            raise ValueError(f"{path}: {file_bytes - begin_of_data - expected_begin} bytes belong to no tensor")
    return tensors, metadata


def write_safetensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in tensors.items():
        if len(tensor.values) != _element_count(tensor.shape):
            raise ValueError(f"tensor {name}: {len(tensor.values)} values do not fill the shape {tensor.shape}")
        dtype, item_bytes = next((known, size) for known, (code, size) in DTYPES.items() if code == tensor.values.typecode)
        begin, end = end, end + item_bytes * len(tensor.values)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for tensor in tensors.values():
            values = array.array(tensor.values.typecode, tensor.values)
            if sys.byteorder == "big":
                values.byteswap()
            file.write(values.tobytes())
