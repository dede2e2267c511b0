// Runs: list, curves, log, checkpoints, control. Everything is read from run directories; nothing is kept elsewhere.
import { z } from "zod";
import { checkpointInfoSchema, runManifestSchema, runSummarySchema } from "../domain/run.ts";
import type { AreaContract } from "./contract.ts";

const runReference = z.object({ run: z.string() });

/** One reduced curve: parallel columns. `kind` marks points that are not finite, drawn as markers. */
export const seriesSchema = z.object({
  key: z.string(),
  x: z.instanceof(Float64Array),
  y: z.instanceof(Float64Array),
  /** Debiased exponential moving average computed on the full data, taken at the same x; empty where not asked for. */
  smoothed: z.instanceof(Float64Array),
  nonFinite: z.array(z.object({ x: z.number(), value: z.literal(["NaN", "Infinity", "-Infinity"]) })),
  totalPoints: z.number().int(),
});
export type Series = z.infer<typeof seriesSchema>;

export const runsContract = {
  requests: {
    "runs.list": { input: z.object({}), output: z.array(runSummarySchema) },
    "runs.show": {
      input: runReference,
      output: z.object({
        summary: runSummarySchema,
        manifest: runManifestSchema,
        recipeYaml: z.string(),
        checkpoints: z.array(checkpointInfoSchema),
        parameterCount: z.number().nullable(),
        /** What the run that it branched from is called; null where it is no branch or that run is gone. */
        parentName: z.string().nullable(),
        /** The newest value of every metric the run has logged. */
        latest: z.record(z.string(), z.union([z.number(), z.string()])),
        resumes: z.array(z.object({ resumed: z.number().int(), fromStep: z.number().int() })),
      }),
    },
    /** Reduced by min, max, first and last of each bucket, so that no spike is lost. `from`/`to` are x values (zoom). */
    "runs.series": {
      input: runReference.extend({
        keys: z.array(z.string()),
        x: z.enum(["step", "tokens", "time"]),
        buckets: z.number().int().min(16).max(4000),
        from: z.number().optional(),
        to: z.number().optional(),
        smoothing: z.number().min(0).max(0.999).optional(),
      }),
      output: z.object({ series: z.array(seriesSchema) }),
    },
    /** Log lines after a byte cursor; an answer's `cursor` is the next one. `tailBytes` starts that far from the end. */
    "runs.log": {
      input: runReference.extend({ cursor: z.number().int().optional(), tailBytes: z.number().int().optional() }),
      output: z.object({ text: z.string(), cursor: z.number().int() }),
    },
    "runs.samples": {
      input: runReference,
      output: z.array(z.object({ step: z.number().int(), prompt: z.string(), text: z.string() })),
    },
    "runs.start": {
      input: z.object({ recipeText: z.string(), recipeFile: z.string().nullable() }),
      output: z.object({ run: z.string(), directory: z.string(), status: z.string() }),
    },
    /** The main job on the bundled sample. */
    "runs.start-quickstart": { input: z.object({}), output: z.object({ run: z.string(), directory: z.string() }) },
    "runs.control": {
      input: runReference.extend({ action: z.enum(["stop", "pause", "unpause", "checkpoint"]) }),
      output: z.object({}),
    },
    /** `set` as the command line's --set (`max_duration=800ba`): a longer run goes on where a completed one ended. */
    "runs.resume": {
      input: runReference.extend({ set: z.array(z.string()).optional() }),
      output: z.object({ run: z.string() }),
    },
    /** What a branch or, without `step`, a resume would change: nothing is started. Problems point into the new text. */
    "runs.preview-change": {
      input: runReference.extend({ step: z.number().int().nullable(), set: z.array(z.string()) }),
      output: z.object({
        recipeText: z.string(),
        changes: z.array(z.object({ key: z.string(), before: z.string().nullable(), after: z.string().nullable() })),
        problems: z.array(z.object({ severity: z.enum(["error", "warning"]), message: z.string(), path: z.string() })),
      }),
    },
    /** A new run from a checkpoint of this one, with its optimizer; `set` are the keys that differ. */
    "runs.branch": {
      input: runReference.extend({ step: z.number().int(), set: z.array(z.string()) }),
      output: z.object({ run: z.string(), directory: z.string(), status: z.string() }),
    },
  },
  events: {
    /** Something in this run's directory changed (at most twice a second). */
    "runs.changed": z.object({ run: z.string() }),
    "runs.list-changed": z.object({}),
  },
  streams: {},
} as const satisfies AreaContract;
