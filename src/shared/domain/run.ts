// What a run is to everyone who looks at one: the run.json its runner writes, and the state a reader derives from it.
// docs/formats/run-directory.md describes the files.
import { z } from "zod";

export const RUN_FORMAT_VERSION = 1;

/** What the runner itself writes. `lost` is never written: readers derive it. */
export const writtenStatusSchema = z.enum([
  "queued",
  "starting",
  "running",
  "paused",
  "stopping",
  "completed",
  "failed",
  "stopped",
]);
export type WrittenStatus = z.infer<typeof writtenStatusSchema>;
export type RunStatus = WrittenStatus | "lost";

export const aliveStatuses: ReadonlySet<RunStatus> = new Set(["starting", "running", "paused", "stopping"]);

/** What is being waited for. `done` and `total` share `unit`; total is absent where it is not known. */
export const phaseSchema = z.object({
  name: z.string(),
  done: z.number().optional(),
  total: z.number().optional(),
  unit: z.string().optional(),
});
export type Phase = z.infer<typeof phaseSchema>;

export const runManifestSchema = z.object({
  format_version: z.literal(RUN_FORMAT_VERSION),
  id: z.string(),
  name: z.string(),
  status: writtenStatusSchema,
  phase: phaseSchema.nullable(),
  pid: z.number().int().nullable(),
  /** Start time of the process in the system's own clock ticks, so that a reused pid is not mistaken for the runner. */
  pid_start_time: z.string().nullable(),
  host: z.string(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  seed: z.number(),
  versions: z.record(z.string(), z.string()),
  data_fingerprint: z.string().nullable(),
  step: z.number().int(),
  total_steps: z.number().int().nullable(),
  tokens: z.number(),
  /** How often training went on after an end. */
  resumes: z.number().int().default(0),
  /** The checkpoint that a branch began from: the other run's id, its step, and the keys that were changed. */
  branched_from: z
    .object({ run: z.string(), step: z.number().int(), changed: z.array(z.string()) })
    .nullable()
    .default(null),
  /** What training was planned to take, before it began. */
  planned_memory_bytes: z.number().nullable().default(null),
  /** Of all parameters, how many are trained; null where all are. */
  trainable_parameters: z.number().int().nullable().default(null),
  best: z.object({ metric: z.string(), value: z.number(), step: z.number().int() }).nullable(),
  exit_reason: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type RunManifest = z.infer<typeof runManifestSchema>;

export const checkpointInfoSchema = z.object({
  step: z.number().int(),
  path: z.string(),
  sizeBytes: z.number(),
  createdAt: z.string(),
  evalLoss: z.number().nullable(),
  isBest: z.boolean(),
});
export type CheckpointInfo = z.infer<typeof checkpointInfoSchema>;

/** One line of a list of runs. */
export const runSummarySchema = z.object({
  id: z.string(),
  name: z.string(),
  directory: z.string(),
  status: z.enum([...writtenStatusSchema.options, "lost"]),
  phase: phaseSchema.nullable(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  step: z.number().int(),
  totalSteps: z.number().int().nullable(),
  tokens: z.number(),
  trainLoss: z.number().nullable(),
  evalLoss: z.number().nullable(),
  evalPerplexity: z.number().nullable(),
  evalBitsPerByte: z.number().nullable(),
  tokensPerSecond: z.number().nullable(),
  secondsLeft: z.number().nullable(),
  exitReason: z.object({ code: z.string(), message: z.string() }).nullable(),
  /** Set where run.json cannot be read: the run is listed all the same, with this sentence. */
  problem: z.string().nullable(),
});
export type RunSummary = z.infer<typeof runSummarySchema>;
