// GGUF read back by code that shares nothing with the engine's writer: header, metadata and tensors as fp32. A file may
// claim anything, so every length is held against the bytes that are left before memory is taken for it.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { AppError } from "#shared/errors";
import { asFileError } from "../../runs/durable-file.ts";

export type GgufScalar = string | number | boolean | bigint;
export type GgufValue = GgufScalar | readonly GgufScalar[];

export type GgufTensor = {
  readonly name: string;
  /** F32, F16, BF16, Q8_0, or `type N` for one that is not read. */
  readonly dtype: string;
  /** Row-major: the last extent is the contiguous one. */
  readonly shape: readonly number[];
  /** From the beginning of the file. */
  readonly offset: number;
  readonly byteLength: number;
};

export type GgufHeader = {
  readonly file: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
};

const CHUNK_BYTES = 1 << 20;
const LARGEST_DIMENSION_COUNT = 4;
/** More than any vocabulary has; a longer list is a lie, or not for us to hold in memory. */
const LONGEST_ARRAY = 2 ** 24;

function damaged(file: string, why: string): AppError {
  return new AppError("GGUF_DAMAGED", `${file} is not a whole GGUF file: ${why}; export it again.`);
}

/** Reads forward through the header; refuses to go past the end of the file. */
class Cursor {
  readonly #descriptor: number;
  readonly #file: string;
  readonly #size: number;
  #chunk: Buffer = Buffer.alloc(0);
  #chunkAt = 0;
  #at = 0;

  constructor(descriptor: number, file: string, size: number) {
    this.#descriptor = descriptor;
    this.#file = file;
    this.#size = size;
  }

  get position(): number {
    return this.#at;
  }

  get left(): number {
    return this.#size - this.#at;
  }

  take(bytes: number): Buffer {
    if (bytes > this.left) {
      throw damaged(this.#file, `it ends at byte ${this.#size}, in the middle of its header`);
    }
    if (this.#at < this.#chunkAt || this.#at + bytes > this.#chunkAt + this.#chunk.length) {
      const wanted = Math.min(Math.max(bytes, CHUNK_BYTES), this.left);
      const chunk = Buffer.alloc(wanted);
      let got = 0;
      while (got < wanted) {
        const read = readSync(this.#descriptor, chunk, got, wanted - got, this.#at + got);
        if (read === 0) {
          throw damaged(this.#file, "it became shorter while it was read");
        }
        got += read;
      }
      this.#chunk = chunk;
      this.#chunkAt = this.#at;
    }
    const begin = this.#at - this.#chunkAt;
    this.#at += bytes;
    return this.#chunk.subarray(begin, begin + bytes);
  }

  takeAt(position: number, bytes: number): Buffer {
    this.#at = position;
    return this.take(bytes);
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  /** A 64-bit length or count; what is too large for the file is refused by whoever uses it. */
  u64(): number {
    return Number(this.take(8).readBigUInt64LE());
  }

  text(): string {
    const length = this.u64();
    if (length > this.left) {
      throw damaged(this.#file, `a text of ${length} bytes stands where ${this.left} are left`);
    }
    return this.take(length).toString("utf8");
  }
}

/** The value types of GGUF by their number: size in bytes and how one is read. */
const scalarTypes: Readonly<Record<number, { readonly bytes: number; readonly read: (cursor: Cursor) => GgufScalar }>> =
  {
    0: { bytes: 1, read: (cursor) => cursor.take(1).readUInt8() },
    1: { bytes: 1, read: (cursor) => cursor.take(1).readInt8() },
    2: { bytes: 2, read: (cursor) => cursor.take(2).readUInt16LE() },
    3: { bytes: 2, read: (cursor) => cursor.take(2).readInt16LE() },
    4: { bytes: 4, read: (cursor) => cursor.u32() },
    5: { bytes: 4, read: (cursor) => cursor.take(4).readInt32LE() },
    6: { bytes: 4, read: (cursor) => cursor.take(4).readFloatLE() },
    7: { bytes: 1, read: (cursor) => cursor.take(1).readUInt8() !== 0 },
    // A text is at least its length.
    8: { bytes: 8, read: (cursor) => cursor.text() },
    10: { bytes: 8, read: (cursor) => cursor.take(8).readBigUInt64LE() },
    11: { bytes: 8, read: (cursor) => cursor.take(8).readBigInt64LE() },
    12: { bytes: 8, read: (cursor) => cursor.take(8).readDoubleLE() },
  };
const ARRAY_TYPE = 9;

function readValue(cursor: Cursor, file: string, key: string): GgufValue {
  const type = cursor.u32();
  if (type !== ARRAY_TYPE) {
    const scalar = scalarTypes[type];
    if (scalar === undefined) {
      throw damaged(file, `${key} has the unknown type ${type}`);
    }
    return scalar.read(cursor);
  }
  const elementType = cursor.u32();
  const count = cursor.u64();
  const element = scalarTypes[elementType];
  if (element === undefined) {
    throw damaged(file, `${key} is an array of the unknown type ${elementType}`);
  }
  if (count > cursor.left / element.bytes || count > LONGEST_ARRAY) {
    throw damaged(file, `${key} claims ${count} elements where ${cursor.left} bytes are left`);
  }
  const values: GgufScalar[] = [];
  for (let index = 0; index < count; index += 1) {
    values.push(element.read(cursor));
  }
  return values;
}

/** Block types: how many values a block has and in how many bytes. */
const tensorTypes: Readonly<
  Record<number, { readonly dtype: string; readonly block: number; readonly bytes: number }>
> = {
  0: { dtype: "F32", block: 1, bytes: 4 },
  1: { dtype: "F16", block: 1, bytes: 2 },
  8: { dtype: "Q8_0", block: 32, bytes: 34 },
  30: { dtype: "BF16", block: 1, bytes: 2 },
};

type TensorEntry = { readonly name: string; readonly shape: number[]; readonly type: number; readonly offset: number };

function readTensorEntry(cursor: Cursor, file: string): TensorEntry {
  const name = cursor.text();
  const dimensions = cursor.u32();
  if (dimensions > LARGEST_DIMENSION_COUNT) {
    throw damaged(file, `the tensor ${name} claims ${dimensions} dimensions`);
  }
  const shape: number[] = [];
  for (let index = 0; index < dimensions; index += 1) {
    shape.unshift(cursor.u64());
  }
  return { name, shape, type: cursor.u32(), offset: cursor.u64() };
}

function placed(entry: TensorEntry, file: string, dataBegin: number, fileBytes: number): GgufTensor {
  const { name, shape, type, offset } = entry;
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const known = tensorTypes[type];
  const row = shape.at(-1) ?? 1;
  if (!Number.isSafeInteger(elements) || elements < 1) {
    throw damaged(file, `the tensor ${name} claims the shape (${shape.join(", ")})`);
  }
  if (known !== undefined && row % known.block !== 0) {
    throw damaged(file, `the rows of the tensor ${name} are no whole blocks of ${known.block}`);
  }
  const byteLength = known === undefined ? 0 : (elements / known.block) * known.bytes;
  const begin = dataBegin + offset;
  if (!Number.isSafeInteger(begin) || begin + byteLength > fileBytes) {
    throw damaged(file, `the tensor ${name} lies beyond the end of the file`);
  }
  return { name, shape, dtype: known?.dtype ?? `type ${type}`, offset: begin, byteLength };
}

export function readGgufHeader(file: string): GgufHeader {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    throw asFileError(error, `read ${file}`);
  }
  try {
    const size = fstatSync(descriptor).size;
    const cursor = new Cursor(descriptor, file, size);
    if (size < 24 || cursor.take(4).toString("latin1") !== "GGUF") {
      throw damaged(file, "it does not begin with GGUF");
    }
    const version = cursor.u32();
    if (version !== 2 && version !== 3) {
      throw new AppError("NOT_SUPPORTED", `${file} is GGUF version ${version}; versions 2 and 3 are read.`);
    }
    const tensorCount = cursor.u64();
    const entryCount = cursor.u64();
    // An entry has at least its key's length, its type and one byte; a tensor its name's length, type and offset.
    if (entryCount > cursor.left / 13 || tensorCount > cursor.left / 24) {
      throw damaged(file, `it claims ${entryCount} metadata entries and ${tensorCount} tensors`);
    }
    const metadata = new Map<string, GgufValue>();
    for (let index = 0; index < entryCount; index += 1) {
      const key = cursor.text();
      metadata.set(key, readValue(cursor, file, key));
    }
    const entries: TensorEntry[] = [];
    for (let index = 0; index < tensorCount; index += 1) {
      entries.push(readTensorEntry(cursor, file));
    }
    const said = metadata.get("general.alignment");
    const alignment = typeof said === "number" && said > 0 ? said : 32;
    const dataBegin = Math.ceil(cursor.position / alignment) * alignment;
    const tensors = entries.map((entry) => placed(entry, file, dataBegin, size));
    if (new Set(tensors.map((tensor) => tensor.name)).size !== tensors.length) {
      throw damaged(file, "two tensors have the same name");
    }
    return { file, version, metadata, tensors };
  } finally {
    closeSync(descriptor);
  }
}

/** An IEEE half as a number. */
export function halfToNumber(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) {
    return sign * fraction * 2 ** -24;
  }
  return exponent === 0x1f
    ? fraction === 0
      ? sign * Infinity
      : NaN
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halves: Float32Array | undefined;

/** All 65 536 halves, computed once: a table look-up is what makes reading a model of them quick. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToNumber(bits));
  return halves;
}

function decode(dtype: string, bytes: Buffer, elements: number): Float32Array {
  const values = new Float32Array(elements);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === "F32") {
    for (let index = 0; index < elements; index += 1) {
      values[index] = view.getFloat32(4 * index, true);
    }
  } else if (dtype === "F16") {
    const table = halfTable();
    for (let index = 0; index < elements; index += 1) {
      values[index] = table[view.getUint16(2 * index, true)] ?? 0;
    }
  } else if (dtype === "BF16") {
    const bits = new Uint32Array(values.buffer);
    for (let index = 0; index < elements; index += 1) {
      bits[index] = view.getUint16(2 * index, true) << 16;
    }
  } else {
    for (let block = 0; block < elements / 32; block += 1) {
      const scale = halfToNumber(view.getUint16(34 * block, true));
      for (let index = 0; index < 32; index += 1) {
        values[32 * block + index] = scale * view.getInt8(34 * block + 2 + index);
      }
    }
  }
  return values;
}

/** One tensor's values, row-major. */
export function readGgufTensor(header: GgufHeader, tensor: GgufTensor): Float32Array {
  if (tensor.byteLength === 0) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${header.file}: the tensor ${tensor.name} is stored as ${tensor.dtype}; F32, F16, BF16 and Q8_0 are read.`,
    );
  }
  let descriptor: number;
  try {
    descriptor = openSync(header.file, "r");
  } catch (error) {
    throw asFileError(error, `read ${header.file}`);
  }
  try {
    const cursor = new Cursor(descriptor, header.file, fstatSync(descriptor).size);
    const elements = tensor.shape.reduce((product, extent) => product * extent, 1);
    return decode(tensor.dtype, cursor.takeAt(tensor.offset, tensor.byteLength), elements);
  } finally {
    closeSync(descriptor);
  }
}
