// Corpora: what lies in the workspace and what is known of it, importing, cleaning, scanning evaluation sets against one,
// counting, splitting, writing shards, and tracing a place in training back to its documents. Long work is a stream that can be cancelled;
// progress is coalesced, so that only the newest item waits for a slow reader.
import { z } from "zod";
import { importFormats } from "../domain/import-formats.ts";
import type { AreaContract } from "./contract.ts";

/** Files, folders, globs and addresses. */
const paths = z.array(z.string().min(1)).min(1).max(10_000);
const jsonlFile = z.string().endsWith(".jsonl");

export const corpusProgressSchema = z.object({
  phase: z.string(),
  /** Bytes; when comparing, bands. */
  done: z.number(),
  /** Null where it is not known before. */
  total: z.number().nullable(),
  /** Read so far, where that is counted. */
  documents: z.number().int().nullable(),
});
export type CorpusProgressItem = z.infer<typeof corpusProgressSchema>;

export const ruleSummarySchema = z.object({
  rule: z.string(),
  action: z.enum(["dropped", "changed"]),
  documents: z.number().int(),
  samples: z.array(
    z.object({ id: z.string(), source: z.string().optional(), detail: z.string(), excerpt: z.string().optional() }),
  ),
});
export type RuleSummaryInfo = z.infer<typeof ruleSummarySchema>;

export const importFormatNameSchema = z.enum(importFormats);

/** What an import was asked, which with the same output makes it go on. */
export const importRequestSchema = z.object({
  inputs: paths,
  format: importFormatNameSchema.nullable(),
  textFields: z.array(z.string()).min(1),
  idField: z.string().nullable(),
  textUnit: z.enum(["file", "paragraph"]),
  skipBroken: z.boolean(),
});
export type ImportRequestInfo = z.infer<typeof importRequestSchema>;

export const corpusInfoSchema = z.object({
  path: z.string(),
  name: z.string(),
  sizeBytes: z.number(),
  modifiedAt: z.string(),
  /** As its ledger says; null where there is none. */
  documents: z.number().int().nullable(),
  hasLedger: z.boolean(),
  hasClusters: z.boolean(),
  /** An import into it was not finished; the same import goes on where it stopped. */
  isUnfinished: z.boolean(),
  /** What that import was asked; null where it is not known, or nothing is unfinished. */
  unfinished: importRequestSchema.nullable(),
});
export type CorpusInfo = z.infer<typeof corpusInfoSchema>;

const amount = { documents: z.number().int(), words: z.number(), tokens: z.number().nullable() };
const namedAmounts = z.array(z.object({ name: z.string(), ...amount }));

export const corpusStatisticsSchema = z.object({
  ...amount,
  characters: z.number(),
  textBytes: z.number(),
  wordsPerDocument: z.object({ least: z.number(), mean: z.number(), most: z.number() }),
  /** The largest first, up to `top` of each; what a document does not say is under "(none)". */
  groups: z.object({
    year: namedAmounts,
    journal: namedAmounts,
    language: namedAmounts,
    section: namedAmounts,
    mesh: namedAmounts,
    publication_type: namedAmounts,
    source: namedAmounts,
  }),
});
export type CorpusStatisticsInfo = z.infer<typeof corpusStatisticsSchema>;

export const scanReportSchema = z.object({
  items: z.number().int(),
  tooShort: z.number().int(),
  documents: z.number().int(),
  runWords: z.number().int(),
  /** Items with any run in the corpus, at least half of them, at least 80 %. */
  anyOverlap: z.number().int(),
  halfOverlap: z.number().int(),
  mostOverlap: z.number().int(),
  found: z.array(
    z.object({
      item: z.string(),
      source: z.string(),
      words: z.number().int(),
      runs: z.number().int(),
      found: z.number().int(),
      /** From 0 to 1. */
      overlap: z.number(),
      documents: z.number().int(),
      matches: z.array(
        z.object({
          document: z.string(),
          source: z.string(),
          runs: z.number().int(),
          /** The longest stretch in the item's text, in UTF-16 units; to is exclusive. */
          from: z.number().int(),
          to: z.number().int(),
          words: z.number().int(),
          /** What stands around it in the item. */
          before: z.string(),
          after: z.string(),
          /** As the item has it, cut where it is very long. */
          itemText: z.string(),
          /** The same stretch as the document has it. */
          text: z.string(),
          documentBefore: z.string(),
          documentAfter: z.string(),
        }),
      ),
    }),
  ),
});
export type ScanReportInfo = z.infer<typeof scanReportSchema>;

export const traceSchema = z.object({
  /** Of the training text, or of the shard's. */
  firstToken: z.number(),
  tokenCount: z.number().int(),
  /** Of a run that streamed. */
  shard: z.object({ folder: z.string(), file: z.string() }).nullable(),
  documents: z.array(
    z.object({
      id: z.string(),
      document: z.number().int(),
      /** Tokens of the sequence; to is exclusive. */
      from: z.number().int(),
      to: z.number().int(),
      documentOffset: z.number(),
    }),
  ),
});

export const corporaContract = {
  requests: {
    /** The .jsonl files of the workspace's corpora, the newest first. */
    "corpora.list": { input: z.object({}), output: z.array(corpusInfoSchema) },
    /** The first documents of anything that can be imported, and its format; texts are cut to 4,000 characters. */
    "corpora.preview": {
      input: z.object({
        path: z.string(),
        format: importFormatNameSchema.nullable().default(null),
        textFields: z.array(z.string()).min(1).default(["text"]),
        documents: z.number().int().min(1).max(100).default(20),
      }),
      output: z.array(z.object({ id: z.string(), text: z.string(), metadata: z.record(z.string(), z.json()) })),
    },
    /** What an import or a cleaning did, rule by rule. */
    "corpora.ledger": {
      input: z.object({ path: z.string() }),
      output: z.object({ rules: z.array(ruleSummarySchema), refused: z.array(z.string()) }),
    },
    /** Lines of the ledger: every document that was dropped or changed. */
    "corpora.ledger-entries": {
      input: z.object({
        path: z.string(),
        rule: z.string().nullable().default(null),
        from: z.number().int().min(0),
        count: z.number().int().min(1).max(1000),
      }),
      output: z.array(
        z.object({
          rule: z.string(),
          action: z.enum(["dropped", "changed"]),
          id: z.string(),
          source: z.string().optional(),
          detail: z.string(),
        }),
      ),
    },
    /** Near duplicates of a cleaning, so many clusters from a number on. */
    "corpora.clusters": {
      input: z.object({
        path: z.string(),
        from: z.number().int().min(0),
        count: z.number().int().min(1).max(200),
      }),
      output: z.array(
        z.object({
          kept: z.object({ id: z.string(), words: z.number().int(), excerpt: z.string() }),
          dropped: z.array(z.object({ id: z.string(), similarity: z.number(), excerpt: z.string() })),
        }),
      ),
    },
    /** The documents of one sequence of one step (both from 1), or of one token of the training text (from 0). */
    "corpora.trace": {
      input: z.union([
        z.object({ run: z.string(), step: z.number().int().min(1), sequence: z.number().int().min(1).default(1) }),
        z.object({ run: z.string(), token: z.number().int().min(0) }),
      ]),
      output: traceSchema,
    },
  },
  events: {},
  streams: {
    "corpora.import": {
      input: z.object({
        inputs: paths,
        /** A path, or a name in the workspace's corpora. */
        output: jsonlFile,
        format: importFormatNameSchema.nullable().default(null),
        textFields: z.array(z.string()).min(1).default(["text"]),
        idField: z.string().nullable().default(null),
        textUnit: z.enum(["file", "paragraph"]).default("file"),
        workers: z.number().int().min(1).max(64).default(1),
        skipBroken: z.boolean().default(false),
        restart: z.boolean().default(false),
      }),
      item: corpusProgressSchema,
      output: z.object({
        output: z.string(),
        ledger: z.string(),
        sources: z.number().int(),
        documents: z.number().int(),
        bytes: z.number(),
        rules: z.array(ruleSummarySchema),
        refused: z.array(z.string()),
        wasThere: z.boolean(),
      }),
    },
    "corpora.clean": {
      input: z.object({
        inputs: paths,
        output: jsonlFile,
        /** As docs/formats/corpus.md lists them; what is missing has its default. */
        rules: z.record(z.string(), z.json()).default({}),
        replace: z.boolean().default(false),
      }),
      item: corpusProgressSchema,
      output: z.object({
        output: z.string(),
        ledger: z.string(),
        clusters: z.string(),
        documentsRead: z.number().int(),
        documents: z.number().int(),
        words: z.number(),
        rules: z.array(ruleSummarySchema),
      }),
    },
    "corpora.scan": {
      input: z.object({
        evaluation: paths,
        corpus: paths,
        textFields: z.array(z.string()).min(1).default(["text"]),
        idField: z.string().nullable().default(null),
        runWords: z.number().int().min(2).max(100).default(13),
        leastWords: z.number().int().min(1).max(100).default(8),
      }),
      item: corpusProgressSchema,
      output: scanReportSchema,
    },
    "corpora.statistics": {
      input: z.object({
        inputs: paths,
        /** Null: tokens are not counted. */
        tokenizer: z.string().nullable().default(null),
        detectLanguages: z.boolean().default(true),
        textFields: z.array(z.string()).min(1).default(["text"]),
        top: z.number().int().min(1).max(10_000).default(100),
      }),
      item: corpusProgressSchema,
      output: corpusStatisticsSchema,
    },
    /** A folder of MDS shards: raw text, or with a tokenizer its tokens. */
    "corpora.shard": {
      input: z.object({
        inputs: paths,
        /** A path, or a name in the workspace's corpora. */
        folder: z.string().min(1),
        tokenizer: z.string().nullable().default(null),
        compression: z.enum(["zstd", "gz"]).nullable().default(null),
        sizeLimitBytes: z.number().int().min(1024).max(4_294_967_295),
      }),
      item: corpusProgressSchema,
      output: z.object({
        directory: z.string(),
        shards: z.number().int(),
        documents: z.number().int(),
        emptyDocuments: z.number().int(),
        textBytes: z.number(),
        tokens: z.number().nullable(),
        rawBytes: z.number(),
        storedBytes: z.number(),
      }),
    },
    "corpora.split": {
      input: z.object({
        inputs: paths,
        fraction: z.number().gt(0).lt(1),
        train: jsonlFile,
        heldOut: jsonlFile,
        replace: z.boolean().default(false),
      }),
      item: corpusProgressSchema,
      output: z.object({
        train: z.object({ file: z.string(), documents: z.number().int() }),
        heldOut: z.object({ file: z.string(), documents: z.number().int() }),
      }),
    },
  },
} as const satisfies AreaContract;
