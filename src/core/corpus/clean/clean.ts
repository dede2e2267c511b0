// Cleans a corpus: every document by the rules of its own first, then duplicates among those that are left. What happens
// to each is in the ledger, near duplicates in a file of clusters that one can read through. The output appears whole.
import { rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { asFileError, makeFolder, syncFolder } from "../../runs/durable-file.ts";
import { acquireLockFile } from "../../runs/lock.ts";
import { Appender } from "../appender.ts";
import { excerptOf, LedgerWriter, ledgerPaths, type RuleSummary, writeLedgerSummary } from "../ledger.ts";
import { fileLines } from "../lines.ts";
import { readCorpus } from "../read-corpus.ts";
import { NOBODY } from "../repeats.ts";
import { removeBoilerplate } from "./boilerplate.ts";
import { findExactDuplicates, findNearDuplicates, type NearCluster } from "./duplicates.ts";
import { judgeDocument } from "./quality.ts";
import type { CleanRules } from "./rules.ts";
import { type Survivors, SurvivorWriter } from "./survivors.ts";
import { wordsOf } from "./words.ts";

export type CleanOptions = {
  readonly inputs: readonly string[];
  /** Ends in .jsonl. */
  readonly output: string;
  readonly rules: CleanRules;
  /** Replaces an output that is there. */
  readonly replace: boolean;
  readonly signal?: CancelSignal | undefined;
  readonly onProgress?: ((progress: CleanProgress) => void) | undefined;
  readonly onNotice?: ((sentence: string) => void) | undefined;
};

export type CleanProgress = {
  readonly phase: "reading" | "comparing" | "writing";
  /** Bytes; bands when comparing. */
  readonly done: number;
  readonly total: number | null;
};

export type CleanReport = {
  readonly output: string;
  readonly ledger: string;
  /** Near duplicates, a cluster a line. */
  readonly clusters: string;
  readonly documentsRead: number;
  readonly documents: number;
  readonly words: number;
  readonly rules: readonly RuleSummary[];
};

function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new AppError("CANCELLED", "The cleaning was cancelled; nothing was written.");
  }
}

/** The rules that look at one document. */
async function readSurvivors(
  options: CleanOptions,
  folder: string,
  ledger: LedgerWriter,
): Promise<{ readonly survivors: Survivors; readonly documentsRead: number }> {
  const { rules, inputs, signal, onProgress, onNotice } = options;
  const writer = await SurvivorWriter.create(folder, rules.near_duplicates);
  let documentsRead = 0;
  try {
    const reading = {
      signal,
      onNotice,
      onProgress: (state: { done: number; total: number | null }) => onProgress?.({ phase: "reading", ...state }),
    };
    for await (const batch of readCorpus(inputs, reading)) {
      for (const document of batch) {
        documentsRead += 1;
        const { id, source } = document;
        const stripped = rules.boilerplate === null ? null : removeBoilerplate(document.text, rules.boilerplate);
        const text = stripped?.text ?? document.text;
        const words = wordsOf(text);
        const verdict = judgeDocument(text, words, rules);
        if (verdict !== null) {
          await ledger.add({ ...verdict, action: "dropped", id, source, text });
          continue;
        }
        if (stripped !== null) {
          await ledger.add({
            rule: "boilerplate",
            action: "changed",
            id,
            source,
            detail: `removed: ${excerptOf(stripped.removed)}`,
            text,
          });
        }
        // Equal words in equal order: blanks, punctuation and capitals may differ.
        const normal = words.count === 0 ? text : (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(" ");
        await writer.add({ ...document, text }, normal, words);
      }
    }
    return { survivors: await writer.finish(), documentsRead };
  } finally {
    await writer.close();
  }
}

/** The clusters as a person reviews them: what stays, and beside it what goes. */
async function writeClusters(file: string, survivors: Survivors, clusters: readonly NearCluster[]): Promise<void> {
  const appender = await Appender.open(file);
  try {
    for (const { kept, dropped } of clusters) {
      const shown = kept.map((document) => {
        const { id, text } = survivors.document(document);
        const members = dropped
          .filter((each) => each.like === document)
          .map((each) => {
            const member = survivors.document(each.document);
            return { id: member.id, similarity: Number(each.similarity.toFixed(4)), excerpt: excerptOf(member.text) };
          });
        return { kept: { id, words: survivors.words(document), excerpt: excerptOf(text) }, dropped: members };
      });
      for (const each of shown.filter(({ dropped: members }) => members.length > 0)) {
        await appender.add(Buffer.from(`${JSON.stringify(each)}\n`));
      }
    }
    await appender.sync();
  } finally {
    await appender.close();
  }
}

type Decisions = {
  readonly original: Uint32Array;
  readonly near: ReadonlyMap<number, { readonly like: number; readonly similarity: number }>;
};

/** Those that stay, in their order; the others into the ledger. */
async function writeKept(
  file: string,
  survivors: Survivors,
  decisions: Decisions,
  ledger: LedgerWriter,
  options: CleanOptions,
): Promise<{ readonly documents: number; readonly words: number }> {
  const appender = await Appender.open(file);
  let number = 0;
  let documents = 0;
  let words = 0;
  try {
    for await (const lines of fileLines(survivors.linesFile)) {
      throwIfCancelled(options.signal);
      for (const line of lines) {
        const original = decisions.original[number] ?? NOBODY;
        const near = decisions.near.get(number);
        if (original !== NOBODY) {
          const { id, source, text } = survivors.document(number);
          await ledger.add({
            rule: "duplicate",
            action: "dropped",
            id,
            source,
            detail: `the same words as ${survivors.document(original).id}`,
            text,
          });
        } else if (near !== undefined) {
          const { id, source, text } = survivors.document(number);
          const detail = `similarity ${near.similarity.toFixed(3)} with ${survivors.document(near.like).id}`;
          await ledger.add({ rule: "near-duplicate", action: "dropped", id, source, detail, text });
        } else {
          await appender.add(line, Buffer.from("\n"));
          documents += 1;
          words += survivors.words(number);
        }
        number += 1;
      }
      options.onProgress?.({ phase: "writing", done: number, total: survivors.count });
    }
    await appender.sync();
    return { documents, words };
  } finally {
    await appender.close();
  }
}

/** `X.jsonl` has its clusters in `X.clusters.jsonl`. */
function clustersPath(output: string): string {
  return `${output.replace(/\.jsonl$/, "")}.clusters.jsonl`;
}

export async function cleanCorpus(options: CleanOptions): Promise<CleanReport> {
  const output = path.resolve(options.output);
  if (!options.replace && (await stat(output).catch(() => null)) !== null) {
    throw new AppError("BAD_ARGUMENT", `${output} is there already; choose another --out, or give --replace.`);
  }
  const folder = `${output}.cleaning`;
  await makeFolder(path.dirname(output));
  const lock = await acquireLockFile(`${output}.lock`, `The cleaning into ${output}`);
  let ledger: LedgerWriter | null = null;
  let survivors: Survivors | null = null;
  try {
    await rm(folder, { recursive: true, force: true });
    await makeFolder(folder);
    const entries = path.join(folder, "ledger.jsonl");
    ledger = await LedgerWriter.create(entries);
    const read = await readSurvivors(options, folder, ledger);
    survivors = read.survivors;
    const { rules } = options;
    const original = rules.exact_duplicates
      ? await findExactDuplicates(survivors)
      : new Uint32Array(survivors.count).fill(NOBODY);
    const clusters =
      rules.near_duplicates === null
        ? []
        : await findNearDuplicates(survivors, original, rules.near_duplicates, {
            signal: options.signal,
            onProgress: (done, total) => options.onProgress?.({ phase: "comparing", done, total }),
          });
    const near = new Map(clusters.flatMap(({ dropped }) => dropped.map((each) => [each.document, each] as const)));
    const kept = path.join(folder, "kept.jsonl");
    const shown = path.join(folder, "clusters.jsonl");
    const { documents, words } = await writeKept(kept, survivors, { original, near }, ledger, options);
    await writeClusters(shown, survivors, clusters);
    if (documents === 0) {
      const counts = ledger.summary().map(({ rule, documents: count }) => `${rule}: ${count}`);
      throw new AppError("CORPUS_EMPTY", `No document is left (${counts.join(", ")}); loosen the rules.`);
    }
    await ledger.finish();
    const paths = ledgerPaths(output);
    const summary = ledger.summary();
    await rename(entries, paths.entries);
    await rename(shown, clustersPath(output));
    await writeLedgerSummary(
      paths.summary,
      { output: path.basename(output), documents_read: read.documentsRead, documents, words, asked: rules },
      summary,
    );
    await rename(kept, output);
    await syncFolder(path.dirname(output));
    return {
      output,
      ledger: paths.entries,
      clusters: clustersPath(output),
      documentsRead: read.documentsRead,
      documents,
      words,
      rules: summary,
    };
  } catch (error) {
    throw asFileError(error, `write ${output}`);
  } finally {
    await ledger?.close();
    survivors?.close();
    await rm(folder, { recursive: true, force: true });
    await lock.release();
  }
}
