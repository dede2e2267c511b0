// Which files a corpus consists of: what a folder, a glob or a path comes to, in an order that depends on names alone.
import type { Dirent } from "node:fs";
import { lstat, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { type CorpusSource, PATH_TO_REPLACE } from "#shared/domain/recipe";
import { isAddress } from "#shared/domain/recipe-stream";
import { AppError } from "#shared/errors";
import { nearestWord } from "../recipe/nearest-key.ts";
import { globBase, globMatcher, isGlob } from "./glob.ts";
import { findMdsIndex, type MdsIndex, type MdsShardEntry, readMdsIndex } from "./mds/index-file.ts";
import { presentFile } from "./mds/shard.ts";

export type CorpusFile = {
  readonly path: string;
  /** Its name within the corpus, with slashes. Part of the ids of documents that have none, so a corpus may move. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly format: "txt" | "jsonl" | "jsonl.gz" | "mds";
  /** What the index of its folder says of a shard. */
  readonly shard?: { readonly folder: string; readonly entry: MdsShardEntry };
};

export type CorpusFiles = {
  readonly files: readonly CorpusFile[];
  /** Files of folders and globs that are no corpus files. */
  readonly ignoredCount: number;
};

function formatOf(file: string): CorpusFile["format"] | null {
  const name = file.toLowerCase();
  return name.endsWith(".jsonl.gz")
    ? "jsonl.gz"
    : name.endsWith(".jsonl")
      ? "jsonl"
      : name.endsWith(".txt")
        ? "txt"
        : null;
}

/** Files below a folder, without hidden ones, as relative paths with slashes. Linked folders are not entered. */
async function walk(folder: string, relative: string, into: string[]): Promise<void> {
  let entries: readonly Dirent[];
  try {
    entries = await readdir(path.join(folder, relative), { withFileTypes: true });
  } catch (cause) {
    throw new AppError(
      "FILE_NOT_READABLE",
      `Cannot read the folder ${path.join(folder, relative)}; check that you may.`,
      {
        cause,
      },
    );
  }
  for (const entry of entries) {
    const name = relative === "" ? entry.name : `${relative}/${entry.name}`;
    if (entry.name.startsWith(".")) {
      continue;
    }
    if (entry.isDirectory()) {
      await walk(folder, name, into);
    } else if (entry.isFile()) {
      into.push(name);
    } else if (entry.isSymbolicLink()) {
      const target = await stat(path.join(folder, name)).catch(() => null);
      if (target?.isFile() === true) {
        into.push(name);
      }
    }
  }
}

/** The files below a folder in the order of their names' bytes. */
export async function listFolder(folder: string): Promise<readonly string[]> {
  const names: string[] = [];
  await walk(folder, "", names);
  return names.toSorted(byBytes);
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The sentence for a path that is not there, with what was probably meant. */
export async function notFound(source: string): Promise<AppError> {
  if (source.split(path.sep).join("/").includes(`/${PATH_TO_REPLACE}`)) {
    return new AppError(
      "CORPUS_NOT_FOUND",
      `There is no text at ${source}: this path of a preset stands for text that only you have; give your own, as in --set data.train=PATH.`,
    );
  }
  if ((await lstat(source).catch(() => null))?.isSymbolicLink() === true) {
    return new AppError("CORPUS_NOT_FOUND", `${source} is a link that leads nowhere; name the file itself.`);
  }
  // The deepest folder that is there tells what was probably meant.
  let folder = path.dirname(source);
  let missing = path.basename(source);
  let names = await readdir(folder).catch(() => null);
  while (names === null && folder !== path.dirname(folder)) {
    missing = path.basename(folder);
    folder = path.dirname(folder);
    names = await readdir(folder).catch(() => null);
  }
  const near = nearestWord(missing, names ?? []);
  const advice = near === null ? "check the path" : `did you mean ${path.join(folder, near)}?`;
  return new AppError("CORPUS_NOT_FOUND", `There is no ${source}: ${advice}${advice.endsWith("?") ? "" : "."}`);
}

async function fileAt(file: string, name: string, format: CorpusFile["format"] | null): Promise<CorpusFile | null> {
  const chosen = format ?? formatOf(file);
  if (chosen === null) {
    return null;
  }
  const { size } = await stat(file);
  return { path: file, name, sizeBytes: size, format: chosen };
}

type ForcedFormat = "txt" | "jsonl" | "mds" | "auto";

/** The shards of a folder in the order of its index, which is the order of its samples. */
export async function collectShards(folder: string, index: MdsIndex): Promise<CorpusFiles> {
  const files: CorpusFile[] = [];
  for (const entry of index.shards) {
    const { basename, bytes } = await presentFile(folder, entry);
    const shard = { folder, entry };
    // Compressed or not it is the same shard, whose name is part of the ids of samples that have none.
    const name = entry.raw_data.basename;
    files.push({ path: path.join(folder, basename), name, sizeBytes: bytes, format: "mds", shard });
  }
  return { files, ignoredCount: 0 };
}

async function collect(base: string, matches: (relative: string) => boolean, forced: ForcedFormat) {
  const wanted = (await listFolder(base)).filter(matches);
  const found = await Promise.all(
    wanted.map((name) => fileAt(path.join(base, name), name, forcedFormat(name, forced))),
  );
  return { files: found.filter((file) => file !== null), ignoredCount: found.filter((file) => file === null).length };
}

function forcedFormat(name: string, forced: ForcedFormat): CorpusFile["format"] | null {
  return forced === "jsonl" && name.toLowerCase().endsWith(".gz")
    ? "jsonl.gz"
    : forced === "auto" || forced === "mds"
      ? null
      : forced;
}

async function listOne(source: string, forced: ForcedFormat): Promise<CorpusFiles> {
  if (isAddress(source)) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${source} is an address, and this reads files of this computer; bring the text here with \`assay corpus import\` first.`,
    );
  }
  const absolute = path.resolve(source);
  const found = await stat(absolute).catch(() => null);
  if (found?.isDirectory() === true) {
    const index =
      forced === "mds" ? await readMdsIndex(absolute) : forced === "auto" ? await findMdsIndex(absolute) : null;
    if (index !== null) {
      return collectShards(absolute, index);
    }
    return collect(absolute, () => true, forced);
  }
  if (found?.isFile() === true) {
    const name = path.basename(absolute);
    const file = await fileAt(absolute, name, forcedFormat(name, forced));
    if (file === null) {
      throw new AppError(
        "CORPUS_RECORD_INVALID",
        `${absolute} is not a .txt, .jsonl or .jsonl.gz file; rename it, or give its format: {path: …, format: txt}.`,
      );
    }
    return { files: [file], ignoredCount: 0 };
  }
  if (isGlob(source)) {
    const { base, pattern } = globBase(absolute.replaceAll(path.sep, "/"));
    const folder = await stat(base).catch(() => null);
    if (folder?.isDirectory() !== true) {
      throw await notFound(base);
    }
    const matched = await collect(base, globMatcher(pattern), forced);
    if (matched.files.length === 0) {
      throw new AppError("CORPUS_NOT_FOUND", `No .txt, .jsonl or .jsonl.gz file matches ${source}; check the pattern.`);
    }
    return matched;
  }
  throw await notFound(absolute);
}

/** The parts of a corpus in the order given, the files of each in the order of their names' bytes. */
export async function listCorpusFiles(source: CorpusSource): Promise<CorpusFiles> {
  const parts = typeof source === "string" ? [source] : source;
  const files: CorpusFile[] = [];
  const seen = new Set<string>();
  let ignoredCount = 0;
  for (const part of parts) {
    const listed = typeof part === "string" ? await listOne(part, "auto") : await listOne(part.path, part.format);
    ignoredCount += listed.ignoredCount;
    for (const file of listed.files) {
      // Named twice, by overlapping globs say, it is read once.
      if (!seen.has(file.path)) {
        seen.add(file.path);
        files.push(file);
      }
    }
  }
  if (files.length === 0) {
    throw new AppError(
      "CORPUS_EMPTY",
      `${describeSource(source)} holds no .txt, .jsonl or .jsonl.gz file (${ignoredCount} others); add some text.`,
    );
  }
  return { files, ignoredCount };
}

export function describeSource(source: CorpusSource): string {
  const parts =
    typeof source === "string" ? [source] : source.map((part) => (typeof part === "string" ? part : part.path));
  const [first = ""] = parts;
  return parts.length === 1 ? first : `${first} and ${parts.length - 1} more`;
}
