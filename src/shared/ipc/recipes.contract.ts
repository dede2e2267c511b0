// Recipes: presets, files, checking, the forecast, and drafts that survive a crash.
import { z } from "zod";
import type { AreaContract } from "./contract.ts";

export const recipeProblemSchema = z.object({
  code: z.string(),
  severity: z.enum(["error", "warning"]),
  message: z.string(),
  /** 1-based, columns count UTF-16 units; end is exclusive. */
  line: z.number().int(),
  column: z.number().int(),
  endLine: z.number().int(),
  endColumn: z.number().int(),
  /** The key path, such as `optimizer.lr`. */
  path: z.string(),
  /** What to put in the place of line/column…endLine/endColumn. */
  suggestion: z.string().nullable(),
});
export type RecipeProblem = z.infer<typeof recipeProblemSchema>;

/** Each part of a forecast opens its arithmetic: `how` is a sentence with the numbers in it. */
export const figureSchema = z.object({ value: z.number(), how: z.string() });
export const forecastSchema = z.object({
  parameters: figureSchema,
  /** As many as parameters where nothing is frozen. */
  trainableParameters: figureSchema,
  /** As the recipe spells it. */
  precision: z.string(),
  tokensTotal: figureSchema,
  steps: figureSchema,
  flopsPerToken: figureSchema,
  memoryBytes: figureSchema,
  diskBytes: figureSchema,
  /** Of text at an address; null where all of it is here. The value is null where the server was not asked. */
  download: z.object({ value: z.number().nullable(), how: z.string() }).nullable(),
  seconds: figureSchema,
  tokensPerSecond: figureSchema,
  /** measured: from a run of this shape on this machine; estimated: `tokensPerSecond.how` says from what. */
  basis: z.enum(["measured", "estimated"]),
});
export type Forecast = z.infer<typeof forecastSchema>;

export const recipesContract = {
  requests: {
    "recipes.schema": { input: z.object({}), output: z.object({ jsonSchema: z.record(z.string(), z.unknown()) }) },
    "recipes.list": {
      input: z.object({}),
      output: z.object({
        presets: z.array(z.object({ name: z.string(), summary: z.string() })),
        files: z.array(z.object({ file: z.string(), name: z.string(), modifiedAt: z.string() })),
      }),
    },
    /** `preset:<name>` or a file in the workspace's recipes folder. */
    "recipes.read": {
      input: z.object({ source: z.string() }),
      output: z.object({ text: z.string(), draft: z.string().nullable() }),
    },
    "recipes.save": { input: z.object({ name: z.string(), text: z.string() }), output: z.object({ file: z.string() }) },
    /** Unsaved text, written at once; an empty draft removes it. */
    "recipes.keep-draft": {
      input: z.object({ source: z.string(), text: z.string().nullable() }),
      output: z.object({}),
    },
    /** `source` as in recipes.read: relative paths in the text start where it lies. */
    "recipes.check": {
      input: z.object({ text: z.string(), source: z.string().nullable().optional() }),
      output: z.object({
        problems: z.array(recipeProblemSchema),
        forecast: forecastSchema.nullable(),
        forecastProblem: z.string().nullable(),
      }),
    },
  },
  events: {},
  streams: {},
} as const satisfies AreaContract;
