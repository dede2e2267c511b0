// The parts of an import become one file: in the order of the sources, without what a later record replaced or took back,
// every id once. What that leaves out or renames goes into the ledger.
import { createReadStream } from "node:fs";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { asFileError } from "../../runs/durable-file.ts";
import { Appender } from "../appender.ts";
import type { LedgerEntry, LedgerWriter } from "../ledger.ts";
import { fileLines } from "../lines.ts";
import { fates, settleIdentities } from "./identity.ts";
import type { PartFiles, PartState } from "./part.ts";
import type { ImportSource } from "./sources.ts";

export type Part = { readonly source: ImportSource; readonly files: PartFiles; readonly state: PartState };

export type MergeOptions = {
  readonly parts: readonly Part[];
  readonly output: string;
  readonly ledger: LedgerWriter;
  readonly signal?: CancelSignal | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
};

export type MergeResult = { readonly documents: number; readonly bytes: number };

const WRITE_BYTES = 1024 * 1024;
const NEWLINE = Buffer.from("\n");

function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new AppError("CANCELLED", "The import was cancelled; the same command goes on where it stopped.");
  }
}

/** What readers left out of this source, and the source itself where it was left out. */
async function copyLedger(part: Part, ledger: LedgerWriter): Promise<void> {
  const { source, state, files } = part;
  if (state.refusal !== null) {
    await ledger.add({
      rule: "source-refused",
      id: source.name,
      action: "dropped",
      source: source.name,
      detail: state.refusal.message,
    });
  }
  for await (const lines of fileLines(files.ledger)) {
    for (const line of lines) {
      // as: part.ts wrote these lines.
      const entry = JSON.parse(Buffer.from(line).toString("utf8")) as Omit<LedgerEntry, "action">;
      await ledger.add({ ...entry, action: "dropped" });
    }
  }
}

function textOfLine(line: Uint8Array): { readonly id: string; readonly text: string } {
  // as: part.ts wrote these lines.
  return JSON.parse(Buffer.from(line).toString("utf8")) as { id: string; text: string };
}

/** Documents of the part line by line, each as its fate says. Returns how many stayed. */
async function writeSettled(part: Part, fate: Uint8Array, output: Appender, ledger: LedgerWriter): Promise<number> {
  let record = 0;
  let kept = 0;
  let document = 0;
  for await (const lines of fileLines(part.files.lines)) {
    for (const line of lines) {
      while (fate[record] === fates.noDocument) {
        record += 1;
      }
      document += 1;
      const own = fate[record];
      record += 1;
      if (own === fates.kept) {
        await output.add(line, NEWLINE);
        kept += 1;
        continue;
      }
      const parsed = textOfLine(line);
      const entry = { id: parsed.id, source: part.source.name, text: parsed.text };
      if (own === fates.renamed) {
        // Sources have different names, so this is new.
        const id = `${parsed.id}@${part.source.name}#${document}`;
        await output.add(Buffer.from(JSON.stringify({ ...parsed, id })), NEWLINE);
        kept += 1;
        await ledger.add({
          ...entry,
          rule: "id-made-unique",
          action: "changed",
          detail: `an earlier document has this id; this one is ${id}`,
        });
      } else if (own === fates.deleted) {
        await ledger.add({
          ...entry,
          rule: "deleted",
          action: "dropped",
          detail: "a later DeleteCitation takes it back",
        });
      } else {
        await ledger.add({
          ...entry,
          rule: "superseded",
          action: "dropped",
          detail: "another record of this id is newer",
        });
      }
    }
  }
  return kept;
}

export async function mergeParts(options: MergeOptions): Promise<MergeResult> {
  const { parts, output: file, ledger, signal, onProgress } = options;
  const records = parts.reduce((sum, part) => sum + part.state.identities, 0);
  const totalBytes = parts.reduce((sum, part) => sum + part.state.linesBytes, 0);
  const fate = await settleIdentities(
    parts.map((part) => part.files.identities),
    records,
  );
  const output = await Appender.open(file);
  try {
    let first = 0;
    let documents = 0;
    let doneBytes = 0;
    for (const part of parts) {
      throwIfCancelled(signal);
      const own = fate.subarray(first, first + part.state.identities);
      first += part.state.identities;
      if (own.every((each) => each === fates.kept || each === fates.noDocument)) {
        for await (const chunk of createReadStream(part.files.lines, { highWaterMark: WRITE_BYTES })) {
          throwIfCancelled(signal);
          // as: a stream without an encoding yields buffers.
          await output.add(chunk as Buffer);
        }
        documents += part.state.documents;
      } else {
        documents += await writeSettled(part, own, output, ledger);
      }
      await copyLedger(part, ledger);
      doneBytes += part.state.linesBytes;
      onProgress?.(doneBytes, totalBytes);
    }
    await output.sync();
    return { documents, bytes: output.length };
  } catch (error) {
    throw asFileError(error, `write ${file}`);
  } finally {
    await output.close();
  }
}
