// Parquet (hyparquet): a row group at a time, so that memory is bounded by the largest of them. What a file claims is
// compared with its size before anything is made by it.
import { type FileHandle, open } from "node:fs/promises";
import zlib from "node:zlib";
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  snappyUncompress,
} from "hyparquet";
import { AppError } from "#shared/errors";
import { emitFields, type FieldChoice } from "./fields.ts";
import type { ImportEvent } from "./record.ts";

const MAX_GROUP_BYTES = 1024 * 1024 * 1024;
const MAX_GROUP_ROWS = 16 * 1024 * 1024;
const MAX_SLICE_BYTES = 512 * 1024 * 1024;
const MAX_PAGE_BYTES = 256 * 1024 * 1024;
const BATCH_ROWS = 1024;

/** The most that a page may become, from what is there of it. */
function bounded(input: Uint8Array, claimed: number, atMostTimes: number): number {
  if (!(claimed >= 0 && claimed <= MAX_PAGE_BYTES && claimed <= atMostTimes * input.length + 65_536)) {
    throw new Error(`a page of ${input.length} bytes claims to hold ${claimed}`);
  }
  return claimed;
}

/** zstd is part of newer Nodes alone. */
function zstdOf(): ((input: Uint8Array, options: { maxOutputLength: number }) => Uint8Array) | undefined {
  const found: unknown = Reflect.get(zlib, "zstdDecompressSync");
  // as: Node's own function where it is one.
  return typeof found === "function"
    ? (found as (input: Uint8Array, options: { maxOutputLength: number }) => Uint8Array)
    : undefined;
}

function compressors(): Compressors {
  const limit = { maxOutputLength: MAX_PAGE_BYTES };
  const zstd = zstdOf();
  return {
    SNAPPY: (input, length) => {
      const output = new Uint8Array(bounded(input, length, 64));
      snappyUncompress(input, output);
      return output;
    },
    GZIP: (input) => new Uint8Array(zlib.gunzipSync(input, limit)),
    BROTLI: (input) => new Uint8Array(zlib.brotliDecompressSync(input, limit)),
    ...(zstd === undefined ? {} : { ZSTD: (input) => new Uint8Array(zstd(input, limit)) }),
  };
}

function bufferOf(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice: async (start, end = byteLength) => {
      const from = start < 0 ? byteLength + start : start;
      const length = Math.min(end, byteLength) - from;
      if (!(from >= 0 && length >= 0 && length <= MAX_SLICE_BYTES)) {
        throw new Error("it points outside itself");
      }
      const bytes = new Uint8Array(length);
      let at = 0;
      while (at < length) {
        const { bytesRead } = await handle.read(bytes, at, length - at, from + at);
        if (bytesRead === 0) {
          throw new Error("it is cut short");
        }
        at += bytesRead;
      }
      return bytes.buffer;
    },
  };
}

/** The rows of each group as far as the footer's claims can be true. */
function groupRows(metadata: FileMetaData, byteLength: number): readonly number[] {
  return metadata.row_groups.map((group) => {
    const rows = Number(group.num_rows);
    const stored = group.columns.reduce((sum, column) => sum + Number(column.meta_data?.total_compressed_size ?? 0), 0);
    const unpacked = group.columns.reduce(
      (sum, column) => sum + Number(column.meta_data?.total_uncompressed_size ?? 0),
      0,
    );
    if (!(rows >= 0 && rows <= MAX_GROUP_ROWS && stored <= byteLength)) {
      throw new Error("its footer claims more than the file holds");
    }
    if (unpacked > MAX_GROUP_BYTES) {
      throw new Error("a row group has more than 1 GiB; write it with smaller row groups");
    }
    return rows;
  });
}

export async function* parquetRows(
  file: string,
  name: string,
  choice: FieldChoice,
  onBytes: (count: number) => void,
): AsyncGenerator<readonly ImportEvent[]> {
  const refuse = (reason: string) =>
    new AppError("CORPUS_RECORD_INVALID", `${name}: ${reason}.`, { details: { file: name } });
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const buffer = bufferOf(handle, size);
    const metadata = await parquetMetadataAsync(buffer);
    const unpackers = compressors();
    let rowStart = 0;
    const groups = groupRows(metadata, size);
    for (const [index, rows] of groups.entries()) {
      const rowEnd = rowStart + rows;
      const records = await parquetReadObjects({ file: buffer, metadata, rowStart, rowEnd, compressors: unpackers });
      rowStart = rowEnd;
      for (let at = 0; at < records.length; at += BATCH_ROWS) {
        const events: ImportEvent[] = [];
        for (const record of records.slice(at, at + BATCH_ROWS)) {
          emitFields(record, choice, (event) => events.push(event), refuse);
        }
        yield events;
      }
      onBytes(Math.round((size * (index + 1)) / groups.length));
    }
  } catch (error) {
    if (error instanceof AppError) {
      throw error;
    }
    const reason = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
    throw refuse(`this Parquet file cannot be read (${reason}); fetch or write it again`);
  } finally {
    await handle.close();
  }
}
