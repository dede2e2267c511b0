// safetensors written tensor by tensor: never more than one of them in memory, in one file or in shards with an index, as
// fp32, fp16 or bf16. Files are written beside their place, fsynced and renamed.
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { asFileError, syncFolder, writeFileDurably } from "../runs/durable-file.ts";
import { type FloatType, floatBytes } from "./floats.ts";
import { elementCount, type TensorShape } from "./tensors.ts";

const dtypes: Readonly<Record<FloatType, { readonly name: string; readonly bytes: number }>> = {
  f32: { name: "F32", bytes: 4 },
  f16: { name: "F16", bytes: 2 },
  bf16: { name: "BF16", bytes: 2 },
};

type Shard = { readonly name: string; readonly tensors: readonly TensorShape[] };

/** In order, each as full as it may be; a tensor larger than the limit has a file of its own. */
export function planShards(
  tensors: readonly TensorShape[],
  type: FloatType,
  largestBytes: number | null,
): readonly Shard[] {
  const groups: TensorShape[][] = [];
  let bytes = 0;
  for (const tensor of tensors) {
    const size = elementCount(tensor.shape) * dtypes[type].bytes;
    const group = groups.at(-1);
    if (group === undefined || (largestBytes !== null && bytes + size > largestBytes)) {
      groups.push([tensor]);
      bytes = size;
    } else {
      group.push(tensor);
      bytes += size;
    }
  }
  const digits = (value: number): string => String(value).padStart(5, "0");
  return groups.map((group, index) => ({
    name:
      groups.length === 1 ? "model.safetensors" : `model-${digits(index + 1)}-of-${digits(groups.length)}.safetensors`,
    tensors: group,
  }));
}

function headerOf(tensors: readonly TensorShape[], type: FloatType): Buffer {
  const { name: dtype, bytes } = dtypes[type];
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, shape } of tensors) {
    const end = offset + elementCount(shape) * bytes;
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  // Spaces, so that the tensors begin at a multiple of eight.
  const body = Buffer.from(text + " ".repeat((8 - (Buffer.byteLength(text) % 8)) % 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(body.length));
  return Buffer.concat([length, body]);
}

export type WriteOptions = {
  readonly folder: string;
  readonly tensors: readonly TensorShape[];
  readonly type: FloatType;
  /** Null: one file. */
  readonly largestBytes: number | null;
  readonly read: (name: string) => Promise<Float32Array>;
  readonly onBytes?: (done: number, total: number) => void;
  readonly checkCancelled?: () => void;
};

async function writeShard(options: WriteOptions, shard: Shard, onTensor: (bytes: number) => void): Promise<void> {
  const file = path.join(options.folder, shard.name);
  const temporary = `${file}.tmp-${process.pid}`;
  try {
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(headerOf(shard.tensors, options.type));
      for (const { name } of shard.tensors) {
        options.checkCancelled?.();
        const bytes = floatBytes(name, await options.read(name), options.type);
        await handle.writeFile(bytes);
        onTensor(bytes.byteLength);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw asFileError(error, `write ${file}`);
  }
}

/** Writes model.safetensors, or shards with model.safetensors.index.json. Returns the names of the files. */
export async function writeSafetensors(options: WriteOptions): Promise<readonly string[]> {
  const shards = planShards(options.tensors, options.type, options.largestBytes);
  const total = options.tensors.reduce((sum, { shape }) => sum + elementCount(shape) * dtypes[options.type].bytes, 0);
  let done = 0;
  for (const shard of shards) {
    await writeShard(options, shard, (bytes) => {
      done += bytes;
      options.onBytes?.(done, total);
    });
  }
  if (shards.length === 1) {
    await syncFolder(options.folder);
    return shards.map(({ name }) => name);
  }
  const index = {
    metadata: { total_size: total },
    weight_map: Object.fromEntries(shards.flatMap(({ name, tensors }) => tensors.map((tensor) => [tensor.name, name]))),
  };
  const indexName = "model.safetensors.index.json";
  await writeFileDurably(path.join(options.folder, indexName), `${JSON.stringify(index, null, 2)}\n`);
  return [...shards.map(({ name }) => name), indexName];
}
