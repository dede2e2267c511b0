"""Checkpoint files of any size that take no disk: a true header, and a hole where the values would be.

A safetensors file, and a pytorch_model.bin as torch.save writes it (a zip of stored entries: a pickle that refers to
storages, and an entry a storage). Checksums are those of the zeros that a hole reads as, so both files are whole.
"""
from __future__ import annotations

import io
import json
import pickle
import struct
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, Mapping

import torch

Shapes = Mapping[str, "tuple[str, tuple[int, ...]]"]  # dtype as safetensors spells it, shape
ITEM_BYTES = {"F32": 4, "U8": 1}
STORAGES = {"F32": torch.FloatStorage, "U8": torch.ByteStorage}
FITS_32_BITS = 0xFFFFFFFF


def element_count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def write_sparse_safetensors(path: Path, shapes: Shapes) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in shapes.items():
        begin, end = end, end + ITEM_BYTES[dtype] * element_count(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


class _Storage:
    def __init__(self, key: str, dtype: str, count: int) -> None:
        self.persistent_id = ("storage", STORAGES[dtype], key, "cpu", count)


class _Tensor:
    """Pickles as a contiguous tensor does."""

    def __init__(self, storage: _Storage, shape: tuple[int, ...]) -> None:
        self.storage, self.shape = storage, shape

    def __reduce__(self) -> tuple[object, ...]:
        strides = tuple(element_count(self.shape[at + 1:]) for at in range(len(self.shape)))
        arguments = (self.storage, 0, self.shape, strides, False, OrderedDict())
        return torch._utils._rebuild_tensor_v2, arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        return value.persistent_id if isinstance(value, _Storage) else None


class _StoredZip:
    """A zip without compression whose entries may be holes; 64-bit sizes and offsets where they are needed."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.directory = b""
        self.count = 0
        self.checksums: dict[int, int] = {}

    def _checksum_of_zeros(self, size: int) -> int:
        if size not in self.checksums:
            checksum, left, block = 0, size, bytes(1 << 20)
            while left > 0:
                checksum = zlib.crc32(block[:left], checksum)
                left -= min(left, len(block))
            self.checksums[size] = checksum
        return self.checksums[size]

    def add(self, name: str, content: bytes | int) -> None:
        """`content` is the bytes, or the length of a hole."""
        size = content if isinstance(content, int) else len(content)
        checksum = self._checksum_of_zeros(size) if isinstance(content, int) else zlib.crc32(content)
        offset = self.file.tell()
        encoded = name.encode()
        # version 4.5, no flags, stored, no time, 1 January 1980
        common = struct.pack("<HHHHH", 45, 0, 0, 0, 0x21)
        short_size, short_offset = min(size, FITS_32_BITS), min(offset, FITS_32_BITS)
        sizes = struct.pack("<QQ", size, size) if short_size == FITS_32_BITS else b""
        extra = struct.pack("<HH", 1, len(sizes)) + sizes if sizes else b""
        self.file.write(b"PK\x03\x04" + common + struct.pack("<IIIHH", checksum, short_size, short_size, len(encoded), len(extra)))
        self.file.write(encoded + extra)
        if isinstance(content, int):
            self.file.seek(size, 1)
        else:
            self.file.write(content)
        far = sizes + (struct.pack("<Q", offset) if short_offset == FITS_32_BITS else b"")
        extra = struct.pack("<HH", 1, len(far)) + far if far else b""
        self.directory += b"PK\x01\x02" + struct.pack("<H", 45) + common
        self.directory += struct.pack("<IIIHHHHHII", checksum, short_size, short_size, len(encoded), len(extra), 0, 0, 0, 0, short_offset)
        self.directory += encoded + extra
        self.count += 1

    def close(self) -> None:
        begin = self.file.tell()
        self.file.write(self.directory)
        end = self.file.tell()
        self.file.write(b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, self.count, self.count, end - begin, begin))
        self.file.write(b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1))
        count, size, begin = min(self.count, 0xFFFF), min(end - begin, FITS_32_BITS), min(begin, FITS_32_BITS)
        self.file.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, size, begin, 0))


def write_sparse_bin(path: Path, shapes: Shapes, ties: Mapping[str, str]) -> None:
    """`ties` names tensors that share another's storage."""
    storages: dict[str, _Storage] = {}
    state: OrderedDict[str, _Tensor] = OrderedDict()
    sizes: list[int] = []
    for name, (dtype, shape) in shapes.items():
        if name not in ties:
            storages[name] = _Storage(str(len(sizes)), dtype, element_count(shape))
            sizes.append(ITEM_BYTES[dtype] * element_count(shape))
        state[name] = _Tensor(storages[ties.get(name, name)], shape)
    pickled = io.BytesIO()
    _Pickler(pickled, protocol=2).dump(state)
    with open(path, "wb") as file:
        archive = _StoredZip(file)
        archive.add("archive/data.pkl", pickled.getvalue())
        for key, size in enumerate(sizes):
            archive.add(f"archive/data/{key}", size)
        archive.add("archive/version", b"3\n")
        archive.close()
