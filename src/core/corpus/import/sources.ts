// What an import reads: files, folders, globs and addresses, in an order that depends on the words of the command and on
// names alone.
import { stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { isAddress, listSources as listStored } from "../../storage/storage.ts";
import { type CorpusFile, collectShards, listFolder, notFound } from "../files.ts";
import { globBase, globMatcher, isGlob } from "../glob.ts";
import { findMdsIndex, MDS_INDEX_NAME } from "../mds/index-file.ts";
import { listRemoteShards } from "./mds.ts";

export type ImportSource = {
  /** An absolute path, or an address such as https://… */
  readonly location: string;
  /** Within what the command named, with slashes: part of ids and of the ledger, so that a corpus may move. */
  readonly name: string;
  /** Null where it is not known before it is read. */
  readonly sizeBytes: number | null;
  readonly modifiedMs: number | null;
  /** Of a folder of MDS shards: what its index says of this one. */
  readonly shard?: CorpusFile["shard"];
};

async function fileSource(location: string, name: string): Promise<ImportSource> {
  const found = await stat(location);
  return { location, name, sizeBytes: found.size, modifiedMs: found.mtimeMs };
}

async function folderSources(folder: string, matches: (name: string) => boolean): Promise<ImportSource[]> {
  const names = (await listFolder(folder)).filter(matches);
  return Promise.all(names.map((name) => fileSource(path.join(folder, name), name)));
}

/**
 * Shards where an address is that of their folder or of its index, else what storage lists. A plain server's folder ends
 * in a slash; nothing but an index tells what is in it.
 */
async function listAddress(operand: string): Promise<readonly ImportSource[]> {
  const [, folder = null, index = "", query = ""] =
    /^(https?:\/\/[^?#]*\/)(index\.json)?(\?[^#]*)?(?:#.*)?$/i.exec(operand) ?? [];
  if (folder !== null) {
    const shards = await listRemoteShards(`${folder}${query}`).catch((error: unknown) => {
      const isAbsent = error instanceof AppError && /^FETCH_NOT_(?:FOUND|ALLOWED)$/.test(error.code);
      if (index === "" && isAbsent) {
        return null;
      }
      throw error;
    });
    return shards ?? (await listStored(operand));
  }
  const stored = await listStored(operand);
  const isStore = /^s3:\/\//i.test(operand) && !isGlob(operand);
  const found = isStore ? stored.find(({ name }) => name === MDS_INDEX_NAME) : undefined;
  const shards = found === undefined ? null : await listRemoteShards(found.location.slice(0, -MDS_INDEX_NAME.length));
  return shards ?? stored;
}

async function listOperand(operand: string): Promise<ImportSource[]> {
  if (isAddress(operand)) {
    return [...(await listAddress(operand))];
  }
  const absolute = path.resolve(operand);
  const found = await stat(absolute).catch(() => null);
  if (found?.isDirectory() === true) {
    const index = await findMdsIndex(absolute);
    if (index !== null) {
      const { files } = await collectShards(absolute, index);
      return files.map(({ path: location, name, sizeBytes, shard }) => ({
        location,
        name,
        sizeBytes,
        modifiedMs: null,
        ...(shard === undefined ? {} : { shard }),
      }));
    }
    return folderSources(absolute, () => true);
  }
  if (found !== null) {
    return [await fileSource(absolute, path.basename(absolute))];
  }
  if (isGlob(operand)) {
    const { base, pattern } = globBase(absolute.replaceAll(path.sep, "/"));
    if ((await stat(base).catch(() => null))?.isDirectory() !== true) {
      throw await notFound(base);
    }
    const matched = await folderSources(base, globMatcher(pattern));
    if (matched.length === 0) {
      throw new AppError("CORPUS_NOT_FOUND", `No file matches ${operand}; check the pattern.`);
    }
    return matched;
  }
  throw await notFound(absolute);
}

/** Operands in the order given, the files of each in the order of their names' bytes; one named twice is read once. */
export async function listSources(operands: readonly string[]): Promise<readonly ImportSource[]> {
  const sources = new Map<string, ImportSource>();
  const names = new Map<string, number>();
  for (const operand of operands) {
    for (const source of await listOperand(operand)) {
      if (!sources.has(source.location)) {
        const count = (names.get(source.name) ?? 0) + 1;
        names.set(source.name, count);
        // Two files of one name in two folders: ids are made of names, so each has its own.
        sources.set(source.location, count === 1 ? source : { ...source, name: `${source.name}~${count}` });
      }
    }
  }
  if (sources.size === 0) {
    throw new AppError("CORPUS_EMPTY", `${operands.join(", ")} holds no files; name what should be imported.`);
  }
  return [...sources.values()];
}
