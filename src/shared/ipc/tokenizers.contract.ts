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

export const tokenizersContract = {
  requests: {
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
  },
  events: {},
  streams: {
    /** Progress is coalesced: only the newest item waits for a slow reader. */
    "tokenizers.train": {
      input: z.object({
        name: z.string(),
        inputs: z.array(z.string()).min(1),
        vocabSize: z.number().int().min(257),
        minFrequency: z.number().int().min(1),
      }),
      item: z.object({ phase: z.string(), done: z.number(), total: z.number().nullable() }),
      output: tokenizerInfoSchema,
    },
  },
} as const satisfies AreaContract;
