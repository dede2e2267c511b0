// The corpora.* area but for what needs the engine (engine-handlers.ts). It reads and writes much and long, so a thread of
// its own serves it.
import { type Dirent, existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { RequestHandlers, StreamHandlers } from "#shared/ipc/contract";
import {
  type CorpusInfo,
  type CorpusProgressItem,
  corporaContract as contract,
  ruleSummarySchema,
} from "#shared/ipc/corpora.contract";
import { cleanCorpus } from "./clean/clean.ts";
import { readCleanRules } from "./clean/rules.ts";
import { scanContamination } from "./contamination.ts";
import { importCorpus, unfinishedImport } from "./import/import.ts";
import { ledgerPaths } from "./ledger.ts";
import { fileLines } from "./lines.ts";
import { coalesced } from "./progress.ts";
import { readCorpus } from "./read-corpus.ts";
import { writeSplit } from "./write-split.ts";

type Contract = typeof contract;
type OwnRequests = Omit<RequestHandlers<Contract>, "corpora.trace">;
type OwnStreams = Omit<StreamHandlers<Contract>, "corpora.statistics" | "corpora.shard">;

const PREVIEW_CHARACTERS = 4000;

/** A bare name lies in the workspace's corpora; a path is a path. */
function outputIn(workspace: string, output: string): string {
  return output.includes("/") || output.includes(path.sep) ? output : path.join(workspace, "corpora", output);
}

async function readSummary(corpus: string): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    const parsed: unknown = JSON.parse(await readFile(ledgerPaths(corpus).summary, "utf8"));
    // as: an object, and every field of it is checked where it is used.
    return typeof parsed === "object" && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

function clustersOf(corpus: string): string {
  return `${corpus.replace(/\.jsonl$/, "")}.clusters.jsonl`;
}

async function describeCorpus(file: string): Promise<CorpusInfo> {
  const [found, summary, unfinished] = await Promise.all([
    stat(file).catch(() => null),
    readSummary(file),
    unfinishedImport(file),
  ]);
  const documents = summary?.["documents"];
  return {
    path: file,
    name: path.basename(file, ".jsonl"),
    sizeBytes: found?.size ?? 0,
    modifiedAt: (found?.mtime ?? new Date(0)).toISOString(),
    documents: typeof documents === "number" && found !== null ? documents : null,
    hasLedger: summary !== null && found !== null,
    hasClusters: existsSync(clustersOf(file)),
    isUnfinished: existsSync(`${file}.importing`),
    unfinished,
  };
}

async function listCorpora(workspace: string): Promise<CorpusInfo[]> {
  const folder = path.join(workspace, "corpora");
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);
  const names = new Set(
    entries.flatMap(({ name }) => {
      const own = name.replace(/\.importing$/, "");
      return own.endsWith(".jsonl") && !/\.(ledger|clusters)\.jsonl$/.test(own) ? [own] : [];
    }),
  );
  const corpora = await Promise.all([...names].map((name) => describeCorpus(path.join(folder, name))));
  return corpora.toSorted((a, b) => (a.modifiedAt < b.modifiedAt ? 1 : a.modifiedAt > b.modifiedAt ? -1 : 0));
}

/** Lines from … from + count - 1 of a file of JSON lines, of those that `choose` wants. */
async function pageOf<T>(
  file: string,
  from: number,
  count: number,
  choose: (value: unknown) => T | null,
): Promise<T[]> {
  const page: T[] = [];
  let at = 0;
  if (!existsSync(file)) {
    throw new AppError("FILE_NOT_FOUND", `There is no ${file}; it is written by an import or a cleaning.`);
  }
  for await (const lines of fileLines(file)) {
    for (const line of lines) {
      const own = choose(JSON.parse(Buffer.from(line).toString("utf8")));
      if (own !== null) {
        if (at >= from) {
          page.push(own);
        }
        at += 1;
      }
      if (page.length >= count) {
        return page;
      }
    }
  }
  return page;
}

export function createCorpusHandlers(options: { readonly workspace: () => string }): {
  readonly requests: OwnRequests;
  readonly streams: OwnStreams;
} {
  const into = (output: string) => outputIn(options.workspace(), output);
  const reading = (emit: (item: CorpusProgressItem) => void, phase: string) => {
    const send = coalesced(emit);
    return ({ done, total }: { readonly done: number; readonly total: number | null }) =>
      send({ phase, done, total, documents: null });
  };
  return {
    requests: {
      "corpora.list": () => listCorpora(options.workspace()),

      "corpora.preview": async ({ path: file, format, textFields, documents }, { signal }) => {
        const shown: { id: string; text: string; metadata: Record<string, never> }[] = [];
        for await (const batch of readCorpus([file], { format, textFields, signal })) {
          for (const { id, text, metadata } of batch.slice(0, documents - shown.length)) {
            const kept = Object.entries(metadata).filter(([, value]) => value !== undefined);
            // as: readers put JSON values there alone.
            shown.push({
              id,
              text: text.slice(0, PREVIEW_CHARACTERS),
              metadata: Object.fromEntries(kept) as Record<string, never>,
            });
          }
          if (shown.length >= documents) {
            break;
          }
        }
        return shown;
      },

      "corpora.ledger": async ({ path: file }) => {
        const summary = await readSummary(file);
        if (summary === null) {
          throw new AppError("FILE_NOT_FOUND", `${file} has no ledger; it is written by an import or a cleaning.`);
        }
        const refused = summary["refused"];
        return {
          rules: ruleSummarySchema.array().parse(summary["rules"]),
          refused: Array.isArray(refused) ? refused.filter((each) => typeof each === "string") : [],
        };
      },

      "corpora.ledger-entries": ({ path: file, rule, from, count }) => {
        const entry = contract.requests["corpora.ledger-entries"].output.element;
        return pageOf(ledgerPaths(file).entries, from, count, (value) => {
          const parsed = entry.parse(value);
          return rule === null || parsed.rule === rule ? parsed : null;
        });
      },

      "corpora.clusters": ({ path: file, from, count }) => {
        const cluster = contract.requests["corpora.clusters"].output.element;
        return pageOf(clustersOf(file), from, count, (value) => cluster.parse(value));
      },
    },
    streams: {
      "corpora.import": async (input, emit, { signal }) => {
        const report = await importCorpus({
          ...input,
          output: into(input.output),
          signal,
          onProgress: coalesced(emit),
        });
        return { ...report, rules: ruleSummarySchema.array().parse(report.rules), refused: [...report.refused] };
      },

      "corpora.clean": async ({ inputs, output, rules, replace }, emit, { signal }) => {
        const send = coalesced(emit);
        const report = await cleanCorpus({
          inputs,
          output: into(output),
          rules: readCleanRules(rules, "the rules"),
          replace,
          signal,
          onProgress: (state) => send({ ...state, documents: null }),
        });
        return { ...report, rules: ruleSummarySchema.array().parse(report.rules) };
      },

      "corpora.scan": async (input, emit, { signal }) => {
        const report = await scanContamination({ ...input, signal, onProgress: reading(emit, "scanning") });
        return { ...report, found: report.found.map((item) => ({ ...item, matches: [...item.matches] })) };
      },

      "corpora.split": async ({ train, heldOut, ...input }, emit, { signal }) =>
        writeSplit({
          ...input,
          train: into(train),
          heldOut: into(heldOut),
          signal,
          onProgress: reading(emit, "splitting"),
        }),
    },
  };
}
