// GGUF files byte by byte, for tests of who reads them: a builder that knows the layout and nothing of our writer.
import { Buffer } from "node:buffer";
import { assertNever } from "#shared/errors";

type Value =
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "u32"; readonly value: number }
  | { readonly type: "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s"; readonly value: readonly number[] };

export type BuiltTensor = {
  readonly name: string;
  /** Row-major. */
  readonly shape: readonly number[];
  readonly type: number;
  readonly data: Buffer;
};

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: bigint | number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

export function f32s(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

function valueBytes(value: Value): Buffer {
  switch (value.type) {
    case "string":
      return Buffer.concat([u32(8), text(value.value)]);
    case "u32":
      return Buffer.concat([u32(4), u32(value.value)]);
    case "f32":
      return Buffer.concat([u32(6), f32s([value.value])]);
    case "bool":
      return Buffer.concat([u32(7), Buffer.of(value.value ? 1 : 0)]);
    case "strings":
      return Buffer.concat([u32(9), u32(8), u64(value.value.length), ...value.value.map(text)]);
    case "i32s":
      return Buffer.concat([u32(9), u32(5), u64(value.value.length), Buffer.from(Int32Array.from(value.value).buffer)]);
    default:
      return assertNever(value);
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);
}

export function buildGguf(metadata: Readonly<Record<string, Value>>, tensors: readonly BuiltTensor[]): Buffer {
  const entries = Object.entries(metadata).map(([key, value]) => Buffer.concat([text(key), valueBytes(value)]));
  let offset = 0;
  const infos = tensors.map(({ name, shape, type, data }) => {
    const info = Buffer.concat([text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(type), u64(offset)]);
    offset += padded(data).length;
    return info;
  });
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries,
    ...infos,
  ]);
  return Buffer.concat([padded(header), ...tensors.map(({ data }) => padded(data))]);
}
