// Pre-tokenized shards: which column of an index's shard holds token ids, and the description by which the engine maps
// such a shard's file and reads the ids where they lie.
import type { NativeTokenShard } from "#core/engine/addon";
import { TOKENS_COLUMN } from "./documents.ts";
import { mdsEncoding } from "./encodings.ts";
import { type MdsShardEntry, mdsError } from "./index-file.ts";

/** Whether a shard holds tokens and no text has to be tokenized. */
export function isTokenShard(entry: MdsShardEntry): boolean {
  return entry.column_names.includes(TOKENS_COLUMN);
}

/** `file` is the raw shard on this disk; `tokenBytes` is how wide an id is where the column is plain bytes. */
export function tokenShardOf(
  entry: MdsShardEntry,
  file: string,
  options: { readonly tokenBytes: 2 | 4 | 8; readonly vocabSize: number },
): NativeTokenShard {
  const tokenColumn = entry.column_names.indexOf(TOKENS_COLUMN);
  const encoding = entry.column_encodings[tokenColumn];
  if (encoding === undefined) {
    throw mdsError(
      file,
      `it has no column ${JSON.stringify(TOKENS_COLUMN)}; its columns are ${entry.column_names.join(", ")}`,
    );
  }
  const columnSizes = entry.column_encodings.map((name, index) => {
    const column = JSON.stringify(entry.column_names[index]);
    const { size } = mdsEncoding(name, `${file}: the column ${column}`);
    const claimed = entry.column_sizes[index];
    if (claimed !== size) {
      throw mdsError(
        file,
        `its index gives the column ${column} ${claimed ?? "variable"} bytes, and ${name} has ${size ?? "variable"}`,
      );
    }
    return size;
  });
  return { file, samples: entry.samples, columnSizes, tokenColumn, encoding, ...options };
}
