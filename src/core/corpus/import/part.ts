// One source into one part: its documents as lines, their identities, and what was left out. The part remembers how far
// it is, so that after a death it is cut to what it is sure of and goes on behind the last record it holds.
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { AppError, type ErrorCode } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { asFileError, writeFileDurably } from "../../runs/durable-file.ts";
import { Appender } from "../appender.ts";
import { isWrongKind } from "./detect.ts";
import { IDENTITY_BYTES, identityKinds, writeIdentity } from "./identity.ts";
import { type NamedEvent, type ReadSourceOptions, readSource } from "./read-source.ts";
import type { ImportSource } from "./sources.ts";

export type PartState = {
  /** Name, size and time of the source: another source begins anew. */
  readonly source: string;
  readonly isDone: boolean;
  /** Records of the source that this part holds, whatever became of them. */
  readonly records: number;
  readonly documents: number;
  /** Documents and deletions: entries of the identity file. */
  readonly identities: number;
  readonly linesBytes: number;
  readonly ledgerBytes: number;
  /** Why the source was left out. */
  readonly refusal: { readonly code: ErrorCode; readonly message: string } | null;
};

export type PartFiles = {
  readonly lines: string;
  readonly identities: string;
  readonly ledger: string;
  readonly state: string;
};

export function partFiles(folder: string, index: number): PartFiles {
  const base = path.join(folder, String(index + 1).padStart(6, "0"));
  return { lines: `${base}.jsonl`, identities: `${base}.ids`, ledger: `${base}.ledger`, state: `${base}.json` };
}

export type ImportPartOptions = {
  readonly source: ImportSource;
  readonly folder: string;
  readonly index: number;
  readonly read: Omit<ReadSourceOptions, "onBytes" | "signal" | "scratchFolder">;
  /** Sources of no known kind are left out and noted; else they end the import. */
  readonly skipUnknown: boolean;
  /** Damaged ones too. */
  readonly skipBroken: boolean;
  readonly signal?: CancelSignal | undefined;
  readonly onProgress?: ((progress: { readonly bytesRead: number; readonly documents: number }) => void) | undefined;
};

/** Reads one source into its part; in this thread or in another. */
export type PartImporter = (options: ImportPartOptions) => Promise<PartState>;

/** So much output, or time, is lost at most when the process dies. */
const STATE_EVERY_BYTES = 64 * 1024 * 1024;
const STATE_EVERY_MS = 5000;

function signatureOf(source: ImportSource): string {
  return createHash("sha256")
    .update(JSON.stringify([source.location, source.sizeBytes, source.modifiedMs]))
    .digest("hex");
}

function freshState(source: ImportSource): PartState {
  return {
    source: signatureOf(source),
    isDone: false,
    records: 0,
    documents: 0,
    identities: 0,
    linesBytes: 0,
    ledgerBytes: 0,
    refusal: null,
  };
}

/** How far a part is; null where there is none for this source as it is now. */
export async function readPartState(files: PartFiles, source: ImportSource): Promise<PartState | null> {
  try {
    // as: only writePart writes this file, and replaces it whole.
    const state = JSON.parse(await readFile(files.state, "utf8")) as PartState;
    return state.source === signatureOf(source) ? state : null;
  } catch {
    return null;
  }
}

class PartWriter {
  readonly #files: PartFiles;
  readonly #source: ImportSource;
  #state: PartState;
  readonly #lines: Appender;
  readonly #identities: Appender;
  readonly #ledger: Appender;
  #savedBytes: number;
  #savedAt = performance.now();
  documents: number;

  private constructor(
    files: PartFiles,
    source: ImportSource,
    state: PartState,
    lines: Appender,
    identities: Appender,
    ledger: Appender,
  ) {
    this.#files = files;
    this.#source = source;
    this.#state = state;
    this.#lines = lines;
    this.#identities = identities;
    this.#ledger = ledger;
    this.#savedBytes = state.linesBytes;
    this.documents = state.documents;
  }

  static async open(files: PartFiles, source: ImportSource, state: PartState): Promise<PartWriter> {
    return new PartWriter(
      files,
      source,
      state,
      await Appender.open(files.lines, state.linesBytes),
      await Appender.open(files.identities, state.identities * IDENTITY_BYTES),
      await Appender.open(files.ledger, state.ledgerBytes),
    );
  }

  /** Records are added whole batches at a time; the state is of whole batches too. */
  async add(events: readonly NamedEvent[]): Promise<void> {
    const lines: string[] = [];
    const notes: string[] = [];
    const identities = Buffer.alloc(events.length * IDENTITY_BYTES);
    let identityCount = 0;
    for (const event of events) {
      switch (event.kind) {
        case "document": {
          const { id, text, metadata, isPublication, version } = event;
          lines.push(`${JSON.stringify({ id, text, source: this.#source.name, ...metadata })}\n`);
          writeIdentity(
            identities,
            identityCount * IDENTITY_BYTES,
            id,
            isPublication ? identityKinds.publication : identityKinds.own,
            version,
          );
          identityCount += 1;
          break;
        }
        case "deleted":
          writeIdentity(identities, identityCount * IDENTITY_BYTES, event.id, identityKinds.deletion, 0);
          identityCount += 1;
          break;
        case "dropped":
          notes.push(
            `${JSON.stringify({ rule: event.rule, id: event.id, source: this.#source.name, detail: event.detail })}\n`,
          );
      }
    }
    await this.#lines.add(Buffer.from(lines.join("")));
    await this.#identities.add(identities.subarray(0, identityCount * IDENTITY_BYTES));
    await this.#ledger.add(Buffer.from(notes.join("")));
    this.documents += lines.length;
    this.#state = {
      ...this.#state,
      records: this.#state.records + events.length,
      documents: this.documents,
      identities: this.#state.identities + identityCount,
    };
    if (
      this.#lines.length - this.#savedBytes >= STATE_EVERY_BYTES ||
      performance.now() - this.#savedAt >= STATE_EVERY_MS
    ) {
      await this.save({});
    }
  }

  /** Everything on disk first, then the state that says so. */
  async save(changes: Partial<PartState>): Promise<PartState> {
    await this.#lines.sync();
    await this.#identities.sync();
    await this.#ledger.sync();
    this.#state = { ...this.#state, ...changes, linesBytes: this.#lines.length, ledgerBytes: this.#ledger.length };
    await writeFileDurably(this.#files.state, JSON.stringify(this.#state));
    this.#savedBytes = this.#lines.length;
    this.#savedAt = performance.now();
    return this.#state;
  }

  async close(): Promise<void> {
    await this.#lines.close();
    await this.#identities.close();
    await this.#ledger.close();
  }
}

function isBroken(error: unknown): boolean {
  return (
    error instanceof AppError &&
    ["CORPUS_RECORD_INVALID", "CORPUS_NOT_UTF8", "FILE_NOT_READABLE", "MDS_INVALID", "SHARD_HASH_MISMATCH"].includes(
      error.code,
    )
  );
}

/** Imports a source into its part, from where an earlier attempt stopped. */
export async function importPart(options: ImportPartOptions): Promise<PartState> {
  const { source, folder, index } = options;
  const files = partFiles(folder, index);
  const found = await readPartState(files, source);
  if (found?.isDone === true && found.refusal === null) {
    return found;
  }
  // What was left out is looked at again: the options may say now that it is to stop the import.
  const before = found === null || found.isDone ? freshState(source) : found;
  let writer: PartWriter;
  try {
    writer = await PartWriter.open(files, source, before);
  } catch (error) {
    throw asFileError(error, `write ${files.lines}`);
  }
  try {
    let skip = before.records;
    let bytesRead = 0;
    const batches = readSource(source, {
      ...options.read,
      signal: options.signal,
      scratchFolder: folder,
      onBytes: (count) => {
        bytesRead = count;
        options.onProgress?.({ bytesRead, documents: writer.documents });
      },
    });
    for await (const batch of batches) {
      const fresh = skip === 0 ? batch : batch.slice(skip);
      skip -= batch.length - fresh.length;
      if (fresh.length > 0) {
        await writer.add(fresh);
      }
    }
    return await writer.save({ isDone: true });
  } catch (error) {
    const isLeftOut = isWrongKind(error) ? options.skipUnknown : options.skipBroken && isBroken(error);
    if (!isLeftOut || !(error instanceof AppError)) {
      // What was read stays read; if even that cannot be written, the first error is the one to tell.
      await writer.save({}).catch(() => undefined);
      throw asFileError(error, `write ${files.lines}`);
    }
    await writer.close();
    // Nothing of a source that was left out stays.
    await rm(files.lines, { force: true });
    writer = await PartWriter.open(files, source, freshState(source));
    return await writer.save({ isDone: true, refusal: { code: error.code, message: error.message } });
  } finally {
    await writer.close().catch(() => undefined);
  }
}
