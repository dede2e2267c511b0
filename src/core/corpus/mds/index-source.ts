// The index of a folder of shards wherever the folder lies: on this machine, at a server or in an object store.
import { AppError } from "#shared/errors";
import { isAddress, openSource, type StorageOptions } from "../../storage/storage.ts";
import {
  LARGEST_INDEX_BYTES,
  MDS_INDEX_NAME,
  type MdsIndex,
  mdsError,
  parseMdsIndex,
  readMdsIndex,
} from "./index-file.ts";

/** A file of a folder at an address. A key of an object store is taken literally, a path of a server is escaped. */
export function addressIn(folder: string, basename: string): string {
  if (/^s3:/i.test(folder) || !URL.canParse(folder)) {
    return `${folder.replace(/\/+$/, "")}/${basename}`;
  }
  const url = new URL(folder);
  const escaped = basename.split("/").map(encodeURIComponent).join("/");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${escaped}`;
  return url.href;
}

/** For sentences: a query may hold a key. */
export function shownAddress(address: string): string {
  return /^s3:/i.test(address) ? address : address.replace(/[?#].*$/, "");
}

async function readIndexAt(folder: string, options: StorageOptions): Promise<MdsIndex> {
  const address = addressIn(folder, MDS_INDEX_NAME);
  const where = shownAddress(address);
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of (await openSource(address, options)).chunks) {
      parts.push(chunk);
      length += chunk.length;
      if (length > LARGEST_INDEX_BYTES) {
        throw mdsError(where, `it has more than ${LARGEST_INDEX_BYTES} bytes, more than any index; split the folder`);
      }
    }
  } catch (cause) {
    if (cause instanceof AppError && cause.code === "FETCH_NOT_FOUND" && cause.details?.["bucket"] === undefined) {
      throw new AppError(
        "FETCH_NOT_FOUND",
        `There is no ${where}; name the folder of shards that holds their ${MDS_INDEX_NAME}, and bring other text here with \`assay corpus import\` first.`,
        { cause },
      );
    }
    throw cause;
  }
  return parseMdsIndex(Buffer.concat(parts).toString("utf8"), where);
}

export function readIndexOf(folder: string, options: StorageOptions = {}): Promise<MdsIndex> {
  return isAddress(folder) ? readIndexAt(folder, options) : readMdsIndex(folder);
}
