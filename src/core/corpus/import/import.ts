// Imports sources into one JSONL file. Every source becomes a part beside the output, the parts become the output at once:
// until then nothing is there, and after a death the same command goes on with the parts that are. Memory is bounded by
// the longest document and a byte a record.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { type ImportRequestInfo, importRequestSchema } from "#shared/ipc/corpora.contract";
import { asFileError, makeFolder, syncFolder, writeFileDurably } from "../../runs/durable-file.ts";
import { acquireLockFile } from "../../runs/lock.ts";
import { isAddress } from "../../storage/storage.ts";
import { LedgerWriter, ledgerPaths, type RuleSummary, writeLedgerSummary } from "../ledger.ts";
import { mergeParts, type Part } from "./merge.ts";
import { type PartImporter, type PartState, partFiles } from "./part.ts";
import type { ImportFormat } from "./record.ts";
import { type ImportSource, listSources } from "./sources.ts";
import { startImportWorkers } from "./workers.ts";

export type ImportOptions = {
  /** Files, folders, globs, addresses. */
  readonly inputs: readonly string[];
  /** Ends in .jsonl. */
  readonly output: string;
  /** Null: told from each file's content. */
  readonly format: ImportFormat | null;
  readonly textFields: readonly string[];
  readonly idField: string | null;
  readonly textUnit: "file" | "paragraph";
  /** Sources read at once. One is read in this thread. */
  readonly workers: number;
  readonly skipBroken: boolean;
  /** Begins anew what an earlier command left unfinished, and replaces an output that is there. */
  readonly restart: boolean;
  readonly signal?: CancelSignal | undefined;
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined;
};

export type ImportProgress = {
  readonly phase: "reading" | "writing";
  /** Bytes as they are stored. */
  readonly done: number;
  /** Null where a server did not say. */
  readonly total: number | null;
  readonly documents: number;
};

export type ImportReport = {
  readonly output: string;
  readonly ledger: string;
  readonly sources: number;
  readonly documents: number;
  readonly bytes: number;
  readonly rules: readonly RuleSummary[];
  /** Sentences about sources that were left out. */
  readonly refused: readonly string[];
  /** True where the same import had been finished before, and nothing was done. */
  readonly wasThere: boolean;
};

const FORMAT_VERSION = 1;

type Fingerprints = {
  /** Of options and names: goes on with parts that are there, each of which knows its own file as it was. */
  readonly asked: string;
  /** And of the files as they are now: what is finished is finished of these alone. */
  readonly whole: string;
};

function fingerprintsOf(options: ImportOptions, sources: readonly ImportSource[]): Fingerprints {
  const { format, textFields, idField, textUnit, skipBroken } = options;
  const facts = [FORMAT_VERSION, format, textFields, idField, textUnit];
  const hash = (...parts: readonly unknown[]) =>
    createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
  const names = sources.map(({ location, name }) => [location, name]);
  const states = sources.map(({ sizeBytes, modifiedMs }) => [sizeBytes, modifiedMs]);
  return { asked: hash(facts, names), whole: hash(facts, skipBroken, names, states) };
}

async function readFacts(
  file: string,
): Promise<
  | (Partial<ImportReport> & { readonly fingerprint?: unknown; readonly request?: unknown; readonly records?: unknown })
  | null
> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, "utf8"));
    return typeof parsed === "object" ? parsed : null;
  } catch {
    return null;
  }
}

/** The report of the same import where it was finished before; refuses to write over anything else. */
async function finishedBefore(options: ImportOptions, fingerprint: string): Promise<ImportReport | null> {
  if ((await stat(options.output).catch(() => null)) === null || options.restart) {
    return null;
  }
  const { entries, summary } = ledgerPaths(options.output);
  const facts = await readFacts(summary);
  if (facts?.fingerprint !== fingerprint) {
    throw new AppError(
      "BAD_ARGUMENT",
      `${options.output} is there already, and was not made by this import of these files; choose another --out, or give --restart to replace it.`,
    );
  }
  return {
    output: options.output,
    ledger: entries,
    sources: facts.sources ?? 0,
    documents: facts.documents ?? 0,
    bytes: facts.bytes ?? 0,
    rules: facts.rules ?? [],
    refused: facts.refused ?? [],
    wasThere: true,
  };
}

/** Enough for another program to go on with it: absolute, since that may have another working folder. */
function requestOf({ inputs, format, textFields, idField, textUnit, skipBroken }: ImportOptions): ImportRequestInfo {
  const absolute = inputs.map((input) => (isAddress(input) ? input : path.resolve(input)));
  return { inputs: absolute, format, textFields: [...textFields], idField, textUnit, skipBroken };
}

/** What an unfinished import into `output` was asked; null where none is, or it was begun by an earlier version. */
export async function unfinishedImport(output: string): Promise<ImportRequestInfo | null> {
  const facts = await readFacts(path.join(`${output}.importing`, "import.json"));
  return importRequestSchema
    .nullable()
    .catch(null)
    .parse(facts?.request ?? null);
}

/** The folder of the parts, emptied where it is of another import. */
async function prepareFolder(options: ImportOptions, fingerprint: string): Promise<string> {
  const folder = `${options.output}.importing`;
  const file = path.join(folder, "import.json");
  const found = await readFacts(file);
  const isOther = found !== null && found.fingerprint !== fingerprint;
  if (isOther && !options.restart && (await holdsRecords(folder))) {
    throw new AppError(
      "BAD_ARGUMENT",
      `${folder} holds an unfinished import of other files or with other options; run that command again to finish it, or give --restart to begin anew.`,
    );
  }
  if (options.restart || isOther) {
    await rm(folder, { recursive: true, force: true });
  }
  await makeFolder(folder);
  await writeFileDurably(file, JSON.stringify({ fingerprint, request: requestOf(options) }));
  return folder;
}

/** Whether a part of an unfinished import has anything in it that would have to be read again. */
async function holdsRecords(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names.filter((each) => /^\d+\.json$/.test(each))) {
    const state = await readFacts(path.join(folder, name));
    if (state?.records !== 0) {
      return true;
    }
  }
  return false;
}

/** What failed before anything was read leaves nothing behind. */
async function removeIfFruitless(folder: string): Promise<void> {
  if (!(await holdsRecords(folder))) {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the parts, so many at once, in order of the sources; the first failure ends the others. */
async function importParts(
  options: ImportOptions,
  sources: readonly ImportSource[],
  folder: string,
  importer: PartImporter,
): Promise<readonly PartState[]> {
  const known = sources.map((source) => source.sizeBytes);
  const total = known.some((size) => size === null) ? null : known.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  const bytes = sources.map(() => 0);
  const documents = sources.map(() => 0);
  const sum = (counts: readonly number[]) => counts.reduce((all, each) => all + each, 0);
  const states: PartState[] = [];
  let next = 0;
  let failure: { readonly error: unknown } | null = null;
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) {
    stop.abort();
  }
  const work = async (): Promise<void> => {
    while (next < sources.length && failure === null) {
      const index = next;
      next += 1;
      const source = sources[index];
      if (source === undefined) {
        return;
      }
      try {
        const state = await importer({
          source,
          folder,
          index,
          read: {
            format: options.format,
            textFields: options.textFields,
            idField: options.idField,
            textUnit: options.textUnit,
          },
          skipUnknown: sources.length > 1,
          skipBroken: options.skipBroken,
          signal: stop.signal,
          onProgress: (progress) => {
            bytes[index] = progress.bytesRead;
            documents[index] = progress.documents;
            options.onProgress?.({ phase: "reading", done: sum(bytes), total, documents: sum(documents) });
          },
        });
        states[index] = state;
        bytes[index] = source.sizeBytes ?? bytes[index] ?? 0;
        documents[index] = state.documents;
        options.onProgress?.({ phase: "reading", done: sum(bytes), total, documents: sum(documents) });
      } catch (error) {
        failure ??= { error };
        stop.abort();
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, Math.min(options.workers, sources.length)) }, work));
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
  }
  // as: the compiler does not see that work() assigns it.
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) {
    throw failed.error;
  }
  return states;
}

export async function importCorpus(options: ImportOptions): Promise<ImportReport> {
  const output = path.resolve(options.output);
  const own = { ...options, output };
  const sources = await listSources(options.inputs);
  const fingerprints = fingerprintsOf(own, sources);
  const before = await finishedBefore(own, fingerprints.whole);
  if (before !== null) {
    await rm(`${output}.importing`, { recursive: true, force: true });
    return before;
  }
  try {
    await mkdir(path.dirname(output), { recursive: true });
  } catch (error) {
    throw asFileError(error, `make the folder ${path.dirname(output)}`);
  }
  const workers = startImportWorkers(Math.min(options.workers, sources.length));
  const lock = await acquireLockFile(`${output}.lock`, `The import into ${output}`);
  try {
    const folder = await prepareFolder(own, fingerprints.asked);
    const states = await importParts(own, sources, folder, workers.importer);
    const parts: Part[] = sources.flatMap((source, index) => {
      const state = states[index];
      return state === undefined ? [] : [{ source, files: partFiles(folder, index), state }];
    });
    return await publish(own, fingerprints.whole, folder, parts);
  } catch (error) {
    // Who cancels may want to go on, with what was asked; also where it was a transfer that was given up.
    if (error instanceof AppError && error.code === "CANCELLED") {
      throw new AppError("CANCELLED", "The import was cancelled; the same command goes on where it stopped.", {
        cause: error,
      });
    }
    await removeIfFruitless(`${output}.importing`);
    throw error;
  } finally {
    await workers.close();
    await lock.release();
  }
}

/** Ledger first, output last: an output that is there has its ledger. */
async function publish(
  options: ImportOptions,
  fingerprint: string,
  folder: string,
  parts: readonly Part[],
): Promise<ImportReport> {
  const { output, signal, onProgress } = options;
  const refused = parts.flatMap(({ state }) => (state.refusal === null ? [] : [state.refusal.message]));
  const paths = ledgerPaths(output);
  const merged = path.join(folder, "merged.jsonl");
  const entries = path.join(folder, "ledger.jsonl");
  const ledger = await LedgerWriter.create(entries);
  try {
    const documentsRead = parts.reduce((sum, part) => sum + part.state.documents, 0);
    const { documents, bytes } = await mergeParts({
      parts,
      output: merged,
      ledger,
      signal,
      onProgress: (done, total) => onProgress?.({ phase: "writing", done, total, documents: documentsRead }),
    });
    if (documents === 0) {
      const rules = ledger.summary().map(({ rule, documents: count }) => `${rule}: ${count}`);
      const reason = refused[0] ?? `all its records were left out (${rules.join(", ")}).`;
      throw new AppError("CORPUS_EMPTY", `${options.inputs.join(", ")} gave no document: ${reason}`);
    }
    await ledger.finish();
    const rules = ledger.summary();
    const facts = { fingerprint, output: path.basename(output), sources: parts.length, documents, bytes, refused };
    await rename(entries, paths.entries);
    await writeLedgerSummary(paths.summary, facts, rules);
    await rename(merged, output);
    await syncFolder(path.dirname(output));
    await rm(folder, { recursive: true, force: true });
    return { output, ledger: paths.entries, sources: parts.length, documents, bytes, rules, refused, wasThere: false };
  } catch (error) {
    throw asFileError(error, `write ${output}`);
  } finally {
    await ledger.close();
  }
}
