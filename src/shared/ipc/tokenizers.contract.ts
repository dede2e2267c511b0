// Tokenizers: which there are, what they make of a text, and training one.
import { z } from "zod";
import type { AreaContract } from "./contract.ts";

export const pieceSchema = z.object({
  id: z.number().int(),
  /** The token's bytes as text; bytes that are not whole characters stand as \xNN. */
  piece: z.string(),
  /** Byte offsets into the UTF-8 text; end is exclusive. */
  start: z.number().int(),
  end: z.number().int(),
});
export type Piece = z.infer<typeof pieceSchema>;

export const tokenizerInfoSchema = z.object({
  /** What to pass as `tokenizer`: a path, or `gpt2`. */
  source: z.string(),
  name: z.string(),
  kind: z.string(),
  vocabSize: z.number().int(),
  origin: z.enum(["workspace", "run", "built-in"]),
});

const breakRateSchema = z.object({ tokenizer: z.string(), breakRate: z.number() });
const vocabularyEntrySchema = z.object({ id: z.number().int(), piece: z.string() });

/** Several tokenizers on one corpus, list of terms, and files of annotated entities; each part null where not asked. */
export const comparisonSchema = z.object({
  tokenizers: z.array(z.string()),
  corpus: z
    .object({
      documents: z.number(),
      /** Separated by white space. */
      words: z.number(),
      bytes: z.number(),
      rows: z.array(
        z.object({
          tokenizer: z.string(),
          tokens: z.number(),
          bytesPerToken: z.number(),
          /** Tokens a word. */
          fertility: z.number(),
          /** Share of the words (runs of letters and digits) that no token border cuts. */
          wholeWords: z.number(),
        }),
      ),
    })
    .nullable(),
  terms: z
    .array(
      z.object({
        term: z.string(),
        /** The kind of entity whose name it is; null for a term that was given. */
        group: z.string().nullable(),
        /** In the corpus as a word of its own; null without a corpus. */
        count: z.number().nullable(),
        /** Of the entities that bear this name; null for a term from elsewhere. */
        mentions: z.number().nullable(),
        /** By tokenizer. */
        pieces: z.array(z.array(z.string())),
      }),
    )
    .nullable(),
  termGroups: z
    .array(
      z.object({
        group: z.string().nullable(),
        terms: z.number(),
        mentions: z.number().nullable(),
        rows: z.array(
          z.object({
            tokenizer: z.string(),
            /** Terms that are one token. */
            whole: z.number(),
            pieces: z.number(),
            piecesPerTerm: z.number(),
            piecesPerMention: z.number().nullable(),
            /** Terms cut into fewer, and into more pieces than by the first tokenizer. */
            fewer: z.number(),
            more: z.number(),
          }),
        ),
      }),
    )
    .nullable(),
  entities: z
    .array(
      z.object({
        file: z.string(),
        mentions: z.number(),
        words: z.number(),
        /** Different names, and their words. */
        names: z.number(),
        nameWords: z.number(),
        rows: z.array(
          breakRateSchema.extend({
            tokens: z.number(),
            /** With every name counted once. */
            nameBreakRate: z.number(),
            /** Share of the words of all mentions that are one token. */
            wholeWords: z.number(),
            unknownWords: z.number(),
          }),
        ),
        published: z.array(breakRateSchema.extend({ source: z.string() })),
        /** Shares of the words that the texts hold; null without texts. */
        inCorpus: z.object({ words: z.number(), nameWords: z.number() }).nullable(),
      }),
    )
    .nullable(),
});
export type Comparison = z.infer<typeof comparisonSchema>;

const explainedWord = { word: z.string(), pieces: z.array(z.string()), wholeId: z.number().int().nullable() };

/** Why a word splits where it does, by the kind of tokenizer. */
export const wordExplanationSchema = z.discriminatedUnion("kind", [
  /** The merges of the word in order, and what is missing at each border that is left. */
  z.object({
    kind: z.literal("merges"),
    ...explainedWord,
    steps: z.array(
      z.object({ rank: z.number().int(), left: z.string(), right: z.string(), pieces: z.array(z.string()) }),
    ),
    borders: z.array(
      z.object({
        left: z.string(),
        right: z.string(),
        crossing: z.array(vocabularyEntrySchema.extend({ rank: z.number().int().nullable() })),
      }),
    ),
  }),
  /** WordPiece: the longest piece that fits, again and again. */
  z.object({
    kind: z.literal("longest-match"),
    ...explainedWord,
    normalized: z.string(),
    steps: z.array(vocabularyEntrySchema.extend({ rest: z.string(), longer: z.array(z.string()) })),
    /** What was left of an unknown word when nothing fitted. */
    stuckAt: z.string().nullable(),
    /** A cut into fewer pieces that greed misses. */
    shortest: z.array(z.string()).nullable(),
  }),
  /** Unigram: the likeliest ways to cut the word, the best first. */
  z.object({
    kind: z.literal("unigram"),
    ...explainedWord,
    normalized: z.string(),
    paths: z.array(
      z.object({
        pieces: z.array(z.object({ piece: z.string(), id: z.number().int().nullable(), score: z.number() })),
        score: z.number(),
      }),
    ),
  }),
]);
export type WordExplanation = z.infer<typeof wordExplanationSchema>;

export const overlapSchema = z.object({
  sizes: z.tuple([z.number(), z.number()]),
  shared: z.number(),
  onlyFirst: z.array(vocabularyEntrySchema),
  onlySecond: z.array(vocabularyEntrySchema),
});

export const savingsSchema = z.object({
  plan: z.string(),
  /** Of the text that training reads, passes counted. */
  textBytes: z.number(),
  rows: z.array(
    z.object({
      tokenizer: z.string(),
      vocabSize: z.number().int(),
      bytesPerToken: z.number(),
      tokens: z.number(),
      flops: z.number(),
      gpuHours: z.number().nullable(),
      /** Shares of the first row's. */
      savedTokens: z.number(),
      savedFlops: z.number(),
    }),
  ),
});

/** What the training form asks for, and what a forecast needs of it. */
const trainingSchema = z.object({
  inputs: z.array(z.string()).min(1),
  type: z.enum(["byte-bpe", "wordpiece", "unigram"]).default("byte-bpe"),
  vocabSize: z.number().int().min(16),
  /** WordPiece alone. */
  lowercase: z.boolean().default(false),
});

export const trainingForecastSchema = z.object({
  textBytes: z.number(),
  distinctWords: z.number(),
  readSeconds: z.number(),
  learnSeconds: z.number(),
  /** Of the whole process at its peak. */
  memoryBytes: z.number(),
  /** Counts will go through a temporary file. */
  spills: z.boolean(),
  /** The rarest words will be left out of learning. */
  leavesWordsOut: z.boolean(),
  /** What it was told from. */
  sampledBytes: z.number(),
});
export type TrainingForecast = z.infer<typeof trainingForecastSchema>;

export const tokenizersContract = {
  requests: {
    /** Reads the first megabytes of the text. */
    "tokenizers.forecast": { input: trainingSchema, output: trainingForecastSchema },
    "tokenizers.list": { input: z.object({}), output: z.array(tokenizerInfoSchema) },
    "tokenizers.inspect": {
      input: z.object({ tokenizer: z.string(), text: z.string().max(200_000) }),
      output: z.object({ pieces: z.array(pieceSchema), textBytes: z.number().int(), vocabSize: z.number().int() }),
    },
    /** How a token came to be: the merges below it, the widest first. */
    "tokenizers.explain": {
      input: z.object({ tokenizer: z.string(), id: z.number().int() }),
      output: z.object({
        id: z.number().int(),
        piece: z.string(),
        bytes: z.array(z.number().int()),
        merges: z.array(
          z.object({ depth: z.number().int(), left: z.string(), right: z.string(), rank: z.number().int() }),
        ),
      }),
    },
    /** Why a word splits where it does; null for what is not one word, and for kinds that cannot tell. */
    "tokenizers.explain-word": {
      input: z.object({ tokenizer: z.string(), word: z.string().max(256) }),
      output: wordExplanationSchema.nullable(),
    },
    /** Pieces that hold a text, or match a /regular expression/. */
    "tokenizers.vocabulary": {
      input: z.object({ tokenizer: z.string(), search: z.string().max(200), limit: z.number().int().min(1).max(2000) }),
      output: z.object({ total: z.number().int(), entries: z.array(vocabularyEntrySchema) }),
    },
    "tokenizers.overlap": {
      input: z.object({ first: z.string(), second: z.string(), ignoreMarks: z.boolean() }),
      output: overlapSchema,
    },
  },
  events: {},
  streams: {
    /** Progress is coalesced: only the newest item waits for a slow reader. */
    "tokenizers.compare": {
      input: z.object({
        tokenizers: z.array(z.string()).min(1).max(12),
        inputs: z.array(z.string()),
        terms: z.array(z.string().max(400)).max(5000),
        iobFiles: z.array(z.string()),
        topEntities: z.number().int().min(0).max(5000),
      }),
      item: z.object({ bytesRead: z.number(), bytesTotal: z.number() }),
      output: comparisonSchema,
    },
    /** What each vocabulary costs in a planned training; the first is the one whose tokens the recipe plans. */
    "tokenizers.savings": {
      input: z.object({
        recipe: z.string(),
        tokenizers: z.array(z.string()).min(2).max(12),
        inputs: z.array(z.string()).min(1),
        gpu: z.object({ name: z.string(), mfu: z.number().min(0.001).max(1).nullable() }).nullable(),
      }),
      item: z.object({ bytesRead: z.number(), bytesTotal: z.number() }),
      output: savingsSchema,
    },
    /** Progress is coalesced: only the newest item waits for a slow reader. */
    "tokenizers.train": {
      input: trainingSchema.extend({
        name: z.string(),
        minFrequency: z.number().int().min(1),
        /** Words that become single tokens. */
        protectedWords: z.array(z.string()).max(10_000).default([]),
      }),
      item: z.object({ phase: z.string(), done: z.number(), total: z.number().nullable() }),
      output: tokenizerInfoSchema,
    },
  },
} as const satisfies AreaContract;
