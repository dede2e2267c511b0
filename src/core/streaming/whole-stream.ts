// Folders of shards of raw text read once from beginning to end, as a corpus is: what a held-out text at an address needs.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import type { Document } from "../corpus/documents.ts";
import { shownAddress } from "../corpus/mds/index-source.ts";
import type { Policy } from "../storage/transfer.ts";
import { type FetchOptions, type RawShard, withShard } from "./fetch-shard.ts";
import { textsOf } from "./shard-texts.ts";
import { openSources, type StreamShard } from "./sources.ts";

export type WholeStreamOptions = {
  readonly sources: readonly { readonly location: string }[];
  readonly signal?: CancelSignal | undefined;
  readonly policy?: Policy | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
};

function fetchRaw(shard: StreamShard, options: FetchOptions): Promise<RawShard> {
  const found = withShard(
    shard,
    options,
    (work) => work(),
    async (raw) => raw,
  );
  found.catch(() => undefined); // whoever waits for it is told
  return found;
}

/**
 * The documents of every shard in the order of the indexes; empty ones are left out, as they are of other corpora. The next
 * shard is fetched while one is read.
 */
export async function* readWholeStream(options: WholeStreamOptions): AsyncGenerator<Document> {
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) {
    onAbort();
  }
  const transfers: FetchOptions = { signal: stop.signal, policy: options.policy };
  try {
    const { shards, isPreTokenized, totalBytes: total } = await openSources(options.sources, transfers);
    const named = options.sources.map(({ location }) => shownAddress(location)).join(" and ");
    if (isPreTokenized) {
      throw new AppError("MDS_INVALID", `${named} holds tokens, not text; give shards of raw text.`);
    }
    let done = 0;
    let documents = 0;
    let coming: Promise<RawShard> | null = null;
    for (const [index, shard] of shards.entries()) {
      const raw: RawShard = await (coming ?? fetchRaw(shard, transfers));
      const after = shards[index + 1];
      coming = after === undefined ? null : fetchRaw(after, transfers);
      for await (const document of textsOf(shard, raw, stop.signal)) {
        documents += 1;
        yield document;
      }
      done += shard.entry.raw_data.bytes;
      options.onProgress?.({ done, total });
    }
    if (documents === 0) {
      throw new AppError("CORPUS_EMPTY", `${named} holds no text; add some documents.`);
    }
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    stop.abort();
  }
}
