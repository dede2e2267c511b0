// What a model on disk is to everyone who looks at one: its architecture, its tensors, its memory, what a lint against a
// tokenizer found, and what an export answers. All of it comes from headers and small files; weights are never read for it.
import { z } from "zod";

/** A number and the sentence that it was worked out by. */
export const modelFigureSchema = z.object({ value: z.number(), how: z.string() });

export const modelFamilySchema = z.enum(["gpt2", "bert", "megatron_bert"]);
export type ModelFamilyName = z.infer<typeof modelFamilySchema>;

export const modelHeadSchema = z.enum([
  "causal-lm",
  "masked-lm",
  "pretraining",
  "multiple-choice",
  "sequence-classification",
  "token-classification",
  "span-qa",
]);
export type ModelHeadName = z.infer<typeof modelHeadSchema>;

/** Where a model of the list comes from; `opened`: a path that the user named, anywhere on this machine. */
export const modelOriginSchema = z.enum(["run", "export", "fetched", "opened"]);

/** One line of the list of models. */
export const modelInfoSchema = z.object({
  /** The checkpoint folder, or a file that stands alone. */
  source: z.string(),
  origin: modelOriginSchema,
  /** The id of the run it is a checkpoint of. */
  run: z.string().nullable(),
  name: z.string(),
  step: z.number().int().nullable(),
  /** Null where config.json does not say or is not one of ours. */
  family: modelFamilySchema.nullable(),
  sizeBytes: z.number(),
  /** ISO; of the newest file. */
  modifiedAt: z.string().nullable(),
  /** Set where the model cannot be read: it is listed all the same, with this sentence. */
  problem: z.string().nullable(),
});
export type ModelInfo = z.infer<typeof modelInfoSchema>;

export const modelTensorSchema = z.object({
  name: z.string(),
  /** As the file spells it: F32, F16, BF16, Q8_0 … */
  dtype: z.string(),
  shape: z.array(z.number()),
  sizeBytes: z.number(),
});
export type ModelTensor = z.infer<typeof modelTensorSchema>;

export const lintFindingSchema = z.object({
  /** Stable, such as TOKENIZER_VOCABULARY_LARGER. */
  code: z.string(),
  /** error: it cannot work together; warning: it works, and probably not as meant; note: good to know. */
  severity: z.enum(["error", "warning", "note"]),
  message: z.string(),
});
export type LintFinding = z.infer<typeof lintFindingSchema>;

export const modelDescriptionSchema = z.object({
  source: z.string(),
  name: z.string(),
  /** Transformers' class, such as GPT2LMHeadModel. */
  architecture: z.string(),
  family: modelFamilySchema,
  head: modelHeadSchema,
  shape: z.object({
    layers: z.number().int(),
    heads: z.number().int(),
    width: z.number().int(),
    /** Width of the feed-forward layer. */
    inner: z.number().int(),
    vocabulary: z.number().int(),
    context: z.number().int(),
    /** 0 for GPT-2. */
    tokenTypes: z.number().int(),
    labels: z.number().int(),
    activation: z.string(),
  }),
  /** Exact; tied weights count once. */
  parameters: modelFigureSchema,
  /** What its authors call a model of this shape, such as "BioMedLM, 2.7B"; null where it is none we know. */
  publishedName: z.string().nullable(),
  format: z.enum(["safetensors", "pytorch", "gguf"]),
  files: z.array(z.object({ name: z.string(), sizeBytes: z.number() })),
  /** As the files hold them, in their order. */
  tensors: z.array(modelTensorSchema),
  /** The tokenizer beside the weights; null where there is none. */
  tokenizer: z.object({ source: z.string(), kind: z.string(), vocabSize: z.number().int() }).nullable(),
  /** Set where the folder holds LoRA over another model's weights. */
  adapter: z.object({ base: z.string(), rank: z.number().int(), targets: z.array(z.string()) }).nullable(),
  /** Where it came from, as far as its own files say: a run and a step, a Hub id, an export. */
  provenance: z.array(z.object({ label: z.string(), value: z.string() })),
  /** Tensors that the architecture wants and the files lack, and the other way round. */
  missing: z.array(z.string()),
  unexpected: z.array(z.string()),
  /** What is wrong with the files or worth knowing, the gravest first; how a tokenizer fits is asked apart. */
  findings: z.array(lintFindingSchema),
});
export type ModelDescription = z.infer<typeof modelDescriptionSchema>;

/** One way to keep the weights; lora-bf16: a frozen base in bf16 with LoRA on top. */
export const memoryColumnSchema = z.object({
  precision: z.enum(["fp32", "bf16", "lora-bf16", "int8"]),
  /** In the order they are drawn; null where this precision has no such part. */
  train: z
    .object({
      trainableParameters: modelFigureSchema,
      weights: modelFigureSchema,
      gradients: modelFigureSchema,
      optimizer: modelFigureSchema,
      activations: modelFigureSchema,
      workspace: modelFigureSchema,
      total: modelFigureSchema,
    })
    .nullable(),
  run: z.object({
    weights: modelFigureSchema,
    cache: modelFigureSchema,
    workspace: modelFigureSchema,
    total: modelFigureSchema,
  }),
});
export type MemoryColumn = z.infer<typeof memoryColumnSchema>;

/** peft: the adapter alone, of a model that has one. */
export const exportFormatSchema = z.enum(["safetensors", "gguf", "peft"]);
/** q8_0 in GGUF alone, bf16 in safetensors alone. */
export const exportPrecisionSchema = z.enum(["f32", "f16", "bf16", "q8_0"]);

export const exportResultSchema = z.object({
  path: z.string(),
  files: z.array(z.object({ name: z.string(), sizeBytes: z.number() })),
  /** The export read back and its logits set beside those of the model it was made from. */
  comparison: z.object({
    tokens: z.number().int(),
    maxDifference: z.number(),
    /** What a difference may be at this precision. */
    tolerance: z.number(),
    /** Of the compared positions, how many have the same likeliest token. */
    sameTopToken: z.number().int(),
  }),
});
export type ExportResult = z.infer<typeof exportResultSchema>;
