// What the config.json files of all families share: how a field is read, labels, special tokens, and the sentences for
// what the engine cannot run.
import { z } from "zod";
import { AppError } from "#shared/errors";
import type { NativeHead, NativeModelConfig } from "../../engine/addon.ts";

export type ConfigJson = Readonly<Record<string, unknown>>;

const tokenId = z
  .union([z.number().int().min(0), z.array(z.number().int().min(0)).min(1)])
  .nullish()
  // Generation may stop at any of several; the first is the model's own.
  .transform((value) => (Array.isArray(value) ? (value[0] ?? null) : (value ?? null)));

export const count = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);
export const share = z.number().min(0).lt(1);

/** Fields that every family may have, under the same name. */
export const sharedFields = {
  architectures: z.array(z.string()).nullish(),
  tie_word_embeddings: z.boolean().default(true),
  is_encoder_decoder: z.boolean().default(false),
  add_cross_attention: z.boolean().default(false),
  pruned_heads: z.record(z.string(), z.unknown()).default({}),
  quantization_config: z.unknown().optional(),
  position_embedding_type: z.string().nullish(),
  classifier_dropout: share.nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  label2id: z.record(z.string(), z.number().int()).nullish(),
  num_labels: count.nullish(),
  bos_token_id: tokenId,
  eos_token_id: tokenId,
  pad_token_id: tokenId,
  cls_token_id: tokenId,
  sep_token_id: tokenId,
  mask_token_id: tokenId,
} as const;

export type SharedFields = z.infer<z.ZodObject<typeof sharedFields>>;

export type SpecialIds = {
  readonly bos: number | null;
  readonly eos: number | null;
  readonly pad: number | null;
  /** Few config.json name these. */
  readonly cls?: number | null;
  readonly sep?: number | null;
  readonly mask?: number | null;
};

export function specialIds(fields: SharedFields): SpecialIds {
  return {
    bos: fields.bos_token_id,
    eos: fields.eos_token_id,
    pad: fields.pad_token_id,
    ...(fields.cls_token_id === null ? {} : { cls: fields.cls_token_id }),
    ...(fields.sep_token_id === null ? {} : { sep: fields.sep_token_id }),
    ...(fields.mask_token_id === null ? {} : { mask: fields.mask_token_id }),
  };
}

/** The names of the labels by their number; null where the model names none. */
export function labelsOf(fields: SharedFields, file: string): readonly string[] | null {
  const named = fields.id2label;
  if (named === undefined || named === null) {
    return null;
  }
  const labels = Object.entries(named).toSorted(([a], [b]) => Number(a) - Number(b));
  if (labels.length === 0 || labels.some(([id], index) => id !== String(index))) {
    throw new AppError("JSON_INVALID", `${file}: id2label must number its labels from 0 without a gap.`);
  }
  return labels.map(([, label]) => label);
}

const labelHeads: ReadonlySet<NativeHead> = new Set(["sequence-classification", "token-classification"]);

export function hasLabels(head: NativeHead): boolean {
  return labelHeads.has(head);
}

/** Transformers makes two labels where nobody says how many. */
const LABELS_BY_DEFAULT = 2;

export function labelCount(head: NativeHead, fields: SharedFields, fromTensors: number | null): number {
  if (!hasLabels(head)) {
    return 1;
  }
  const named = fields.id2label === undefined || fields.id2label === null ? null : Object.keys(fields.id2label).length;
  return named ?? fields.num_labels ?? fromTensors ?? LABELS_BY_DEFAULT;
}

/** id2label and label2id as Transformers writes them; a model with other than two labels names them even so. */
export function labelFields(
  config: NativeModelConfig,
  labels: readonly string[] | null | undefined,
): Record<string, unknown> {
  if (!hasLabels(config.head)) {
    return {};
  }
  const names = labels ?? Array.from({ length: config.labels }, (_, index) => `LABEL_${index}`);
  if (names.length !== config.labels) {
    throw new AppError(
      "MODEL_CONFIG_INVALID",
      `The model tells ${config.labels} labels apart, but ${names.length} names are given; give one a label.`,
    );
  }
  return {
    id2label: Object.fromEntries(names.map((name, index) => [String(index), name])),
    label2id: Object.fromEntries(names.map((name, index) => [name, index])),
    num_labels: names.length,
  };
}

/** What no family runs, in words; null where there is nothing of the kind. */
export function unsupportedFeature(fields: SharedFields): string | null {
  if (fields.quantization_config !== undefined && fields.quantization_config !== null) {
    return "weights that are already quantized (quantization_config)";
  }
  if (!fields.tie_word_embeddings) {
    return "an output layer of its own (tie_word_embeddings: false)";
  }
  if (fields.is_encoder_decoder || fields.add_cross_attention) {
    return "attention to an encoder's output (add_cross_attention)";
  }
  if (Object.keys(fields.pruned_heads).length > 0) {
    return "layers with attention heads taken out (pruned_heads)";
  }
  const positions = fields.position_embedding_type ?? "absolute";
  return positions === "absolute" ? null : `position_embedding_type ${positions}`;
}

const activations: Readonly<Record<string, NativeModelConfig["activation"]>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  // Three spellings of the same tanh formula.
  gelu_new: "gelu_new",
  gelu_fast: "gelu_new",
  gelu_pytorch_tanh: "gelu_new",
};

export function activationOf(name: string): NativeModelConfig["activation"] | null {
  return Object.hasOwn(activations, name) ? (activations[name] ?? null) : null;
}

export function notSupported(file: string, what: string): AppError {
  return new AppError(
    "NOT_SUPPORTED",
    `${file} asks for ${what}; the engine runs GPT-2, BERT and Megatron-BERT with learned absolute positions, GELU and tied embeddings.`,
  );
}

export function parseFields<T extends z.ZodType>(schema: T, json: ConfigJson, file: string, what: string): z.infer<T> {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new AppError("JSON_INVALID", `${file} is not ${what}: ${issue?.path.join(".")}: ${issue?.message}.`);
  }
  return parsed.data;
}
