// MDS shards as an import reads them: text and id from the columns that are asked for, other plain columns beside them. A
// shard lies in a folder of this machine or at an address, and is in memory while it is read.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { isAddress, openSource } from "../../storage/storage.ts";
import { checkTextColumn, TEXT_COLUMN, TOKENS_COLUMN } from "../mds/documents.ts";
import type { MdsValue } from "../mds/encodings.ts";
import { LARGEST_INDEX_BYTES, MDS_INDEX_NAME, type MdsShardEntry, mdsError, parseMdsIndex } from "../mds/index-file.ts";
import { MdsShard, openShard, unpackShard } from "../mds/shard.ts";
import { decodeUtf8 } from "../utf8.ts";
import { emitFields, type FieldChoice } from "./fields.ts";
import type { ImportEvent } from "./record.ts";
import type { ImportSource } from "./sources.ts";

const BATCH_CHARACTERS = 1 << 20;

/** The bytes at an address; null where they are more than allowed. Memory grows as they come, not by what is claimed. */
async function fetchWhole(
  location: string,
  atMostBytes: number,
  signal: CancelSignal | undefined,
  onBytes: (count: number) => void = () => undefined,
): Promise<Buffer | null> {
  const opened = await openSource(location, { signal });
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of opened.chunks) {
    length += piece.length;
    if (length > atMostBytes) {
      return null;
    }
    pieces.push(piece);
    onBytes(length);
  }
  return Buffer.concat(pieces);
}

/** An address with words in its query stays signed for all that lies beside it. */
function beside(folder: string, basename: string): string {
  const [, path = folder, query = ""] = /^([^?#]*)(\?[^#]*)?/.exec(folder) ?? [];
  const isStored = /^s3:\/\//i.test(folder);
  const name = isStored ? basename : basename.split("/").map(encodeURIComponent).join("/");
  return `${path}${name}${query}`;
}

/** The shards that an index at an address names; null where it is the index of something else. */
export async function listRemoteShards(folder: string, signal?: CancelSignal): Promise<readonly ImportSource[] | null> {
  const location = beside(folder, MDS_INDEX_NAME);
  const bytes = await fetchWhole(location, LARGEST_INDEX_BYTES, signal);
  if (bytes === null) {
    throw mdsError(location, `it has more than ${LARGEST_INDEX_BYTES} bytes, more than any index; split the folder`);
  }
  const text = bytes.toString("utf8");
  if (!/"shards"\s*:/.test(text)) {
    return null;
  }
  return parseMdsIndex(text, location).shards.map((entry) => {
    // What is stored of a compressed set is the compressed files alone.
    const file = entry.zip_data ?? entry.raw_data;
    return {
      location: beside(folder, file.basename),
      name: entry.raw_data.basename,
      sizeBytes: file.bytes,
      modifiedMs: null,
      shard: { folder, entry },
    };
  });
}

async function fetchShard(
  source: ImportSource,
  entry: MdsShardEntry,
  signal: CancelSignal | undefined,
  onBytes: ((count: number) => void) | undefined,
): Promise<MdsShard> {
  const file = entry.zip_data ?? entry.raw_data;
  const bytes = await fetchWhole(source.location, file.bytes, signal, onBytes);
  if (bytes?.length !== file.bytes) {
    const found = bytes === null ? `more than ${file.bytes}` : `${bytes.length}`;
    throw mdsError(source.location, `it has ${found} bytes, and its index says ${file.bytes}; it was cut or changed`);
  }
  return new MdsShard(await unpackShard(entry, file, bytes, source.location), entry, source.location);
}

/** What JSON and a document's text can be made of: arrays of numbers and bytes that are no text are left out. */
function plainValue(value: MdsValue): unknown {
  if (typeof value !== "object") {
    return value;
  }
  return "json" in value ? value.json : undefined;
}

function recordOf(shard: MdsShard, sample: number, choice: FieldChoice, where: string): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const name of shard.columnNames) {
    const value = shard.value(sample, name);
    if (value instanceof Uint8Array && choice.textFields.includes(name)) {
      const text = decodeUtf8(value);
      if (text === null) {
        throw new AppError(
          "CORPUS_NOT_UTF8",
          `${where}: the column ${name} of sample ${sample} is not UTF-8; write the shard again from the source.`,
        );
      }
      record[name] = text;
    } else {
      const plain = value instanceof Uint8Array ? undefined : plainValue(value);
      if (plain !== undefined) {
        record[name] = plain;
      }
    }
  }
  return record;
}

/** The samples of a shard, about a megabyte of text at a time. */
export async function* readShardEvents(
  source: ImportSource & { readonly shard: NonNullable<ImportSource["shard"]> },
  choice: FieldChoice,
  options: {
    readonly signal?: CancelSignal | undefined;
    readonly onBytes?: ((count: number) => void) | undefined;
  },
): AsyncGenerator<readonly ImportEvent[]> {
  const { folder, entry } = source.shard;
  const lacksText = !choice.textFields.some((name) => entry.column_names.includes(name));
  if (lacksText && (entry.column_names.includes(TOKENS_COLUMN) || choice.textFields.join() === TEXT_COLUMN)) {
    checkTextColumn(entry, source.location);
  }
  const refuse = (reason: string) =>
    new AppError("CORPUS_RECORD_INVALID", `${source.name}: ${reason}.`, { details: { file: source.name } });
  const shard = isAddress(folder)
    ? await fetchShard(source, entry, options.signal, options.onBytes)
    : await openShard(folder, entry);
  let events: ImportEvent[] = [];
  let characters = 0;
  for (let sample = 0; sample < shard.sampleCount; sample += 1) {
    const record = recordOf(shard, sample, choice, source.location);
    emitFields(
      record,
      choice,
      (event) => {
        events.push(event);
        characters += event.kind === "document" ? event.text.length : 0;
      },
      refuse,
    );
    if (characters > BATCH_CHARACTERS) {
      yield events;
      events = [];
      characters = 0;
    }
  }
  if (events.length > 0) {
    yield events;
  }
  options.onBytes?.(source.sizeBytes ?? 0);
}
