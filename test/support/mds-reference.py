"""Reads a folder of MDS shards, written from the facts of the format (version 2) with the standard library alone, and
prints every sample as a line of JSON: what other programs find in the shards that Assay writes."""
import hashlib, json, os, struct, sys, zlib

SCALARS = {"int": "q", "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint8": "B", "uint16": "H",
           "uint32": "I", "uint64": "Q", "float16": "e", "float32": "f", "float64": "d"}
ARRAY_CODES = {8: "uint8", 9: "int8", 16: "uint16", 17: "int16", 18: "float16", 32: "uint32", 33: "int32",
               34: "float32", 64: "uint64", 65: "int64", 66: "float64"}


def array(encoding, data):
    parts = encoding.split(":")
    if len(parts) > 1:
        dtype = parts[1]
    else:
        dtype, data = ARRAY_CODES[data[0]], data[1:]
    if len(parts) > 2:
        shape = [int(side) for side in parts[2].split(",")]
    else:
        count, width = data[0] >> 2, 1 << (data[0] & 3)
        shape = [int.from_bytes(data[1 + i * width:1 + (i + 1) * width], "little") for i in range(count)]
        data = data[1 + count * width:]
    values = list(struct.unpack("<%d%s" % (len(data) // struct.calcsize(SCALARS[dtype]), SCALARS[dtype]), data))
    total = 1
    for side in shape:
        total *= side
    assert total == len(values), (shape, len(values))
    return {"dtype": dtype, "shape": shape, "values": values}


def decode(encoding, data):
    if encoding in SCALARS:
        (value,) = struct.unpack("<" + SCALARS[encoding], data)
        return value
    if encoding.startswith("ndarray"):
        return array(encoding, data)
    if encoding in ("str", "str_int", "str_float", "str_decimal"):
        return data.decode("utf-8")
    if encoding == "json":
        return json.loads(data.decode("utf-8"))
    return data.hex()


def read(folder):
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as file:
        index = json.load(file)
    assert index["version"] == 2
    for shard in index["shards"]:
        assert shard["format"] == "mds" and shard["version"] == 2
        assert shard["column_names"] == sorted(shard["column_names"])
        stored = shard["zip_data"] or shard["raw_data"]
        with open(os.path.join(folder, stored["basename"]), "rb") as file:
            data = file.read()
        for info in (stored, shard["raw_data"]):
            if info is not stored:
                assert shard["compression"].startswith("gz"), "the standard library has no zstd"
                data = zlib.decompress(data, 31)
            assert len(data) == info["bytes"], (len(data), info)
            for name, expected in info["hashes"].items():
                assert hashlib.new(name, data).hexdigest() == expected, name
        (count,) = struct.unpack_from("<I", data, 0)
        assert count == shard["samples"]
        offsets = struct.unpack_from("<%dI" % (count + 1), data, 4)
        header = json.loads(data[4 + 4 * (count + 1):offsets[0]].decode("utf-8"))
        for key in ("column_names", "column_encodings", "column_sizes", "compression", "format", "hashes", "version"):
            assert header[key] == shard[key], key
        assert offsets[-1] == len(data)
        for number in range(count):
            at, end = offsets[number], offsets[number + 1]
            sizes = []
            for size in shard["column_sizes"]:
                if size is None:
                    (size,) = struct.unpack_from("<I", data, at)
                    at += 4
                sizes.append(size)
            sample = {}
            for name, encoding, size in zip(shard["column_names"], shard["column_encodings"], sizes):
                sample[name] = decode(encoding, data[at:at + size])
                at += size
            assert at == end
            print(json.dumps(sample))


read(sys.argv[1])
