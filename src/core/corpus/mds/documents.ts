// The documents of an MDS shard that holds raw text: the column `text`, and as the document's id the column `id` or `pmid`
// where there is one. A shard that was tokenized already has no text to read.

import { AppError } from "#shared/errors";
import type { Document } from "../documents.ts";
import { type CorpusFile } from "../files.ts";
import { decodeUtf8 } from "../utf8.ts";
import { type MdsShardEntry, mdsError } from "./index-file.ts";
import { type MdsShard, openShard } from "./shard.ts";

export const TEXT_COLUMN = "text";
export const TOKENS_COLUMN = "tokens";
const idColumns = ["id", "pmid"];

/** Throws MDS_INVALID, with what the shard holds instead. */
export function checkTextColumn(entry: MdsShardEntry, where: string): void {
  const column = entry.column_names.indexOf(TEXT_COLUMN);
  const encoding = entry.column_encodings[column];
  if (encoding === "str" || encoding === "bytes") {
    return;
  }
  const columns = entry.column_names.map((name, index) => `${name} (${entry.column_encodings[index]})`).join(", ");
  const isTokenized = entry.column_names.includes(TOKENS_COLUMN);
  throw mdsError(
    where,
    isTokenized
      ? `its column tokens holds tokens, not text (its columns are ${columns}); train on it directly, or use shards of raw text`
      : `it has no column text of the encoding str; its columns are ${columns}; an import takes others with --text-field`,
  );
}

export async function* readShardDocuments(file: CorpusFile): AsyncGenerator<Document> {
  if (file.shard === undefined) {
    throw mdsError(file.path, "a shard is read through the index.json of its folder; name the folder");
  }
  const { folder, entry } = file.shard;
  checkTextColumn(entry, file.path);
  yield* shardDocuments(await openShard(folder, entry), file);
}

/** Of a shard whose column text was checked. */
export function* shardDocuments(
  shard: MdsShard,
  file: { readonly path: string; readonly name: string },
): Generator<Document> {
  for (let sample = 0; sample < shard.sampleCount; sample += 1) {
    const text = decodeUtf8(shard.columnBytes(sample, TEXT_COLUMN));
    if (text === null) {
      throw new AppError(
        "CORPUS_NOT_UTF8",
        `${file.path}: the text of sample ${sample} is not UTF-8; write the shard again from the source.`,
      );
    }
    yield { id: sampleId(shard, sample, file.name), text, file: file.path, line: sample + 1 };
  }
}

/** What its column of ids says; where it says nothing, its place in the file. */
export function sampleId(shard: MdsShard, sample: number, fileName: string): string {
  const idColumn = idColumns.find((name) => shard.columnNames.includes(name));
  const named = idColumn === undefined ? "" : shard.value(sample, idColumn);
  const isName = (typeof named === "string" && named !== "") || typeof named === "number" || typeof named === "bigint";
  return isName ? `${named}` : `${fileName}:${sample + 1}`;
}
