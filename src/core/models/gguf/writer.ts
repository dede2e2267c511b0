// GGUF written tensor by tensor, never more than one of them in memory: version 3 as llama.cpp's documentation of the
// format has it. Written beside its place, fsynced and renamed.
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { asFileError, syncFolder } from "../../runs/durable-file.ts";
import { floatBytes, toHalf } from "../floats.ts";
import { elementCount } from "../tensors.ts";

/** One entry of the metadata. */
export type GgufEntry = { readonly key: string } & (
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s"; readonly value: Int32Array }
);

export type GgufDataType = "f32" | "f16" | "q8_0";

export type GgufTensorPlan = {
  readonly name: string;
  /** Row-major: the last extent is the contiguous one. */
  readonly shape: readonly number[];
  readonly type: GgufDataType;
};

const ALIGNMENT = 32;
const typeNumbers: Readonly<Record<GgufDataType, number>> = { f32: 0, f16: 1, q8_0: 8 };

export const Q8_BLOCK = 32;
const Q8_BLOCK_BYTES = 34;

/** Blocks of 32 values: the largest over 127 as a half, then each in steps of that. */
export function q8Bytes(values: Float32Array): Uint8Array {
  const blocks = values.length / Q8_BLOCK;
  const result = new Uint8Array(blocks * Q8_BLOCK_BYTES);
  const view = new DataView(result.buffer);
  const scaleAsFloat = new Float32Array(1);
  const scaleBits = new Uint32Array(scaleAsFloat.buffer);
  for (let block = 0; block < blocks; block += 1) {
    const begin = block * Q8_BLOCK;
    let largest = 0;
    for (let index = begin; index < begin + Q8_BLOCK; index += 1) {
      largest = Math.max(largest, Math.abs(values[index] ?? 0));
    }
    scaleAsFloat[0] = largest / 127;
    const at = block * Q8_BLOCK_BYTES;
    view.setUint16(at, toHalf(scaleBits[0] ?? 0), true);
    const inverse = largest === 0 ? 0 : 127 / largest;
    for (let index = 0; index < Q8_BLOCK; index += 1) {
      view.setInt8(at + 2 + index, Math.round((values[begin + index] ?? 0) * inverse));
    }
  }
  return result;
}

function tensorBytes({ shape, type }: GgufTensorPlan): number {
  const elements = elementCount(shape);
  return type === "q8_0" ? (elements / Q8_BLOCK) * Q8_BLOCK_BYTES : elements * (type === "f16" ? 2 : 4);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([u64(bytes.length), bytes]);
}

/** The type's number in the format, and the value. */
function entryBytes(entry: GgufEntry): Buffer {
  switch (entry.type) {
    case "u32":
      return Buffer.concat([u32(4), u32(entry.value)]);
    case "f32":
      return Buffer.concat([u32(6), Buffer.from(Float32Array.of(entry.value).buffer)]);
    case "bool":
      return Buffer.concat([u32(7), Buffer.of(entry.value ? 1 : 0)]);
    case "string":
      return Buffer.concat([u32(8), text(entry.value)]);
    case "strings":
      return Buffer.concat([u32(9), u32(8), u64(entry.value.length), ...entry.value.map(text)]);
    case "i32s": {
      const { buffer, byteOffset, byteLength } = entry.value;
      return Buffer.concat([u32(9), u32(5), u64(entry.value.length), Buffer.from(buffer, byteOffset, byteLength)]);
    }
    default:
      return entry satisfies never;
  }
}

function headerBytes(metadata: readonly GgufEntry[], tensors: readonly GgufTensorPlan[]): Buffer {
  let offset = 0;
  const infos = tensors.map((tensor) => {
    const info = Buffer.concat([
      text(tensor.name),
      u32(tensor.shape.length),
      ...tensor.shape.toReversed().map(u64),
      u32(typeNumbers[tensor.type]),
      u64(offset),
    ]);
    offset += aligned(tensorBytes(tensor));
    return info;
  });
  const header = Buffer.concat([
    Buffer.from("GGUF", "latin1"),
    u32(3),
    u64(tensors.length),
    u64(metadata.length),
    ...metadata.map((entry) => Buffer.concat([text(entry.key), entryBytes(entry)])),
    ...infos,
  ]);
  return Buffer.concat([header, Buffer.alloc(aligned(header.length) - header.length)]);
}

export async function writeGguf(options: {
  readonly file: string;
  readonly metadata: readonly GgufEntry[];
  readonly tensors: readonly GgufTensorPlan[];
  /** The values of one of them, row-major. */
  readonly read: (name: string) => Promise<Float32Array>;
  readonly onBytes?: (done: number, total: number) => void;
  readonly checkCancelled?: () => void;
}): Promise<void> {
  const { file, tensors } = options;
  const temporary = `${file}.tmp-${process.pid}`;
  const total = tensors.reduce((sum, tensor) => sum + aligned(tensorBytes(tensor)), 0);
  let done = 0;
  try {
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(headerBytes(options.metadata, tensors));
      for (const tensor of tensors) {
        options.checkCancelled?.();
        const values = await options.read(tensor.name);
        const bytes = tensor.type === "q8_0" ? q8Bytes(values) : floatBytes(tensor.name, values, tensor.type);
        await handle.writeFile(bytes);
        await handle.writeFile(Buffer.alloc(aligned(bytes.byteLength) - bytes.byteLength));
        done += aligned(bytes.byteLength);
        options.onBytes?.(done, total);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw asFileError(error, `write ${file}`);
  }
}
