// Folders of shards of raw text read once from beginning to end, as a corpus is: what a held-out text at an address needs.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import type { Document } from "../corpus/documents.ts";
import type { Policy } from "../storage/transfer.ts";

export type WholeStreamOptions = {
  readonly sources: readonly { readonly location: string }[];
  readonly signal?: CancelSignal | undefined;
  readonly policy?: Policy;
};

/** The documents of every shard in the order of the indexes; empty ones are left out, as they are of other corpora. */
export async function* readWholeStream(options: WholeStreamOptions): AsyncGenerator<Document> {
  throw new AppError("NOT_SUPPORTED", `${options.sources[0]?.location} cannot be read whole yet.`);
  yield* [];
}
