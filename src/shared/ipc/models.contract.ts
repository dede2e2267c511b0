// Models: what lies on disk (checkpoints of runs, exports, what was fetched or opened), what one is, what it takes, how it
// fits a tokenizer, exporting it, and generation from it in the engine host.
import { z } from "zod";
import {
  exportFormatSchema,
  exportPrecisionSchema,
  exportResultSchema,
  lintFindingSchema,
  memoryColumnSchema,
  modelDescriptionSchema,
  modelInfoSchema,
} from "../domain/model.ts";
import type { AreaContract } from "./contract.ts";

export const samplingSchema = z.object({
  maxNewTokens: z.number().int().min(1).max(4096),
  temperature: z.number().min(0).max(10),
  topK: z.number().int().min(0),
  topP: z.number().min(0).max(1),
  seed: z.number().int().min(0),
  stopAtEndOfText: z.boolean(),
});
export type Sampling = z.infer<typeof samplingSchema>;

/** A folder with config.json, or a file of weights beside one. */
const modelReference = z.object({ model: z.string() });

export const modelsContract = {
  requests: {
    /** The workspace's models, and those at `opened`, which lie anywhere; one that cannot be read says why. */
    "models.list": {
      input: z.object({ opened: z.array(z.string()).max(200).default([]) }),
      output: z.array(modelInfoSchema),
    },
    /** Reads headers alone, so that a model of any size answers at once. */
    "models.describe": { input: modelReference, output: modelDescriptionSchema },
    /** Memory to train and to run, by how weights are kept. `context` null: as long as the model's own. */
    "models.forecast": {
      input: modelReference.extend({
        microbatch: z.number().int().min(1).max(4096),
        context: z.number().int().min(1).nullable(),
        loraRank: z.number().int().min(1).max(1024),
      }),
      output: z.object({
        columns: z.array(memoryColumnSchema),
        /** Of this machine, to set the totals against. */
        machineBytes: z.number(),
        context: z.number().int(),
      }),
    },
    /** `tokenizer` null: the model's own. */
    "models.lint": {
      input: modelReference.extend({ tokenizer: z.string().nullable() }),
      output: z.object({ tokenizer: z.string(), findings: z.array(lintFindingSchema) }),
    },
  },
  events: {
    /** The engine host ended unexpectedly; work in it failed, and the next request starts a new one. */
    "models.engine-lost": z.object({ message: z.string() }),
  },
  streams: {
    /** Items are token texts in order (split characters are held back until whole); none is dropped. */
    "models.generate": {
      input: samplingSchema.extend({
        model: z.string(),
        prompt: z.string(),
        /** Above 1 makes what was said less likely. */
        repetitionPenalty: z.number().min(1).max(10).default(1),
        /** How linear weights and the token embedding are kept. */
        weights: z.enum(["fp32", "bf16", "int8"]).default("fp32"),
        /** How many of the likeliest tokens each one comes with. */
        alternatives: z.number().int().min(0).max(20).default(0),
        /** Continuations decoded side by side, with seeds from `seed` on. */
        samples: z.number().int().min(1).max(8).default(1),
      }),
      item: z.object({
        text: z.string(),
        id: z.number().int(),
        logprob: z.number(),
        index: z.number().int(),
        /** Which continuation, from 0. */
        sample: z.number().int(),
        alternatives: z.array(z.object({ id: z.number().int(), text: z.string(), logprob: z.number() })),
      }),
      /** Of several continuations: tokens together, the longest time, and `stop` only where all of them did. */
      output: z.object({
        promptTokens: z.number().int(),
        newTokens: z.number().int(),
        promptSeconds: z.number(),
        seconds: z.number(),
        stopReason: z.enum(["length", "stop", "cancelled"]),
      }),
    },
    /** Progress is coalesced. The last phase reads the export back; one that differs too much fails, and leaves its files to be looked at. */
    "models.export": {
      input: modelReference.extend({
        format: exportFormatSchema,
        precision: exportPrecisionSchema,
        /** Files of at most so many bytes; null: one file. Of safetensors alone. */
        shardBytes: z.number().int().min(1_000_000).nullable(),
        /** A folder that is not there yet or is empty; for GGUF also a file that is not. An adapter is merged for both. */
        target: z.string(),
      }),
      item: z.object({ phase: z.string(), done: z.number(), total: z.number().nullable() }),
      output: exportResultSchema,
    },
  },
} as const satisfies AreaContract;
