// The index.json of a folder of shards, here or at an address. It says all that planning needs: sizes and hashes, before a
// shard is fetched.
import { isAddress } from "#shared/domain/recipe-stream";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { MDS_INDEX_NAME, type MdsIndex, mdsError, parseMdsIndex, readMdsIndex } from "../corpus/mds/index-file.ts";
import { openSource } from "../storage/storage.ts";
import type { Policy } from "../storage/transfer.ts";

/** A hundred thousand shards take some 50 MB. */
const LARGEST_INDEX_BYTES = 512 * 1024 * 1024;

/** The address of a file of the folder; a query (a signature) stays at the end. */
export function addressWithin(folder: string, name: string): string {
  const [, place = folder, query = ""] = /^([^?]*)(\?.*)?$/.exec(folder) ?? [];
  return `${place.replace(/\/+$/, "")}/${name.split("/").map(encodeURIComponent).join("/")}${query}`;
}

export async function indexAt(
  location: string,
  options: { readonly signal?: CancelSignal | undefined; readonly policy?: Policy } = {},
): Promise<MdsIndex> {
  if (!isAddress(location)) {
    return readMdsIndex(location);
  }
  const address = addressWithin(location, MDS_INDEX_NAME);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of (await openSource(address, options)).chunks) {
      length += chunk.length;
      if (length > LARGEST_INDEX_BYTES) {
        throw mdsError(address, "it is larger than any index; name a folder of MDS shards");
      }
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof AppError && error.code === "FETCH_NOT_FOUND") {
      throw new AppError(
        "FETCH_NOT_FOUND",
        `There is no ${address}: a folder of MDS shards has one; give that folder, and bring other text here with \`assay corpus import\` first.`,
        { cause: error },
      );
    }
    throw error;
  }
  return parseMdsIndex(Buffer.concat(chunks).toString("utf8"), address);
}
