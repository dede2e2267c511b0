// The documents of a verified shard of raw text.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import type { Document } from "../corpus/documents.ts";
import { shardDocuments } from "../corpus/mds/documents.ts";
import { MdsShard } from "../corpus/mds/shard.ts";
import type { RawShard } from "./fetch-shard.ts";
import type { StreamShard } from "./sources.ts";

/** As of every corpus: what holds no text is no document. */
export async function* textsOf(shard: StreamShard, raw: RawShard, signal: CancelSignal): AsyncGenerator<Document> {
  const opened = new MdsShard(raw.bytes, shard.entry, raw.where);
  for (const document of shardDocuments(opened, { path: raw.where, name: shard.entry.raw_data.basename })) {
    if (signal.aborted) {
      throw new AppError("CANCELLED", `Reading ${raw.where} was cancelled.`);
    }
    if (document.text.trim() !== "") {
      yield document;
    }
  }
}
