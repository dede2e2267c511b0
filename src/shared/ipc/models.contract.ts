// Models one can speak with: any checkpoint of any run, and generation from it in the engine host.
import { z } from "zod";
import type { AreaContract } from "./contract.ts";

export const modelInfoSchema = z.object({
  /** The checkpoint folder. */
  source: z.string(),
  run: z.string().nullable(),
  name: z.string(),
  step: z.number().int().nullable(),
});

export const samplingSchema = z.object({
  maxNewTokens: z.number().int().min(1).max(4096),
  temperature: z.number().min(0).max(10),
  topK: z.number().int().min(0),
  topP: z.number().min(0).max(1),
  seed: z.number().int().min(0),
  stopAtEndOfText: z.boolean(),
});
export type Sampling = z.infer<typeof samplingSchema>;

export const modelsContract = {
  requests: {
    "models.list": { input: z.object({}), output: z.array(modelInfoSchema) },
  },
  events: {
    /** The engine host ended unexpectedly; work in it failed, and the next request starts a new one. */
    "models.engine-lost": z.object({ message: z.string() }),
  },
  streams: {
    /** Items are token texts in order (split characters are held back until whole); none is dropped. */
    "models.generate": {
      input: samplingSchema.extend({ model: z.string(), prompt: z.string() }),
      item: z.object({ text: z.string(), id: z.number().int(), logprob: z.number(), index: z.number().int() }),
      output: z.object({
        promptTokens: z.number().int(),
        newTokens: z.number().int(),
        promptSeconds: z.number(),
        seconds: z.number(),
        stopReason: z.enum(["length", "stop", "cancelled"]),
      }),
    },
  },
} as const satisfies AreaContract;
