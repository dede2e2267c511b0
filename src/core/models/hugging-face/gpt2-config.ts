// config.json of GPT-2: GPT2LMHeadModel and the classes with a task's head.
import { z } from "zod";
import type { NativeHead, NativeModelConfig } from "../../engine/addon.ts";
import { architectureName } from "./architectures.ts";
import {
  activationOf,
  type ConfigJson,
  count,
  labelCount,
  labelFields,
  notSupported,
  parseFields,
  type SharedFields,
  share,
  sharedFields,
  unsupportedFeature,
} from "./config-fields.ts";

const schema = z.object({
  ...sharedFields,
  activation_function: z.string().default("gelu_new"),
  vocab_size: count,
  n_positions: count,
  n_layer: count,
  n_head: count,
  n_embd: count,
  n_inner: count.nullish(),
  layer_norm_epsilon: z.number().gt(0).default(1e-5),
  embd_pdrop: share.default(0.1),
  attn_pdrop: share.default(0.1),
  resid_pdrop: share.default(0.1),
  hidden_dropout: share.nullish(),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
});

/** Transformers' dropout before a token classifier that says nothing of its own. */
const CLASSIFIER_DROPOUT = 0.1;

export function readGpt2Config(
  json: ConfigJson,
  file: string,
  head: NativeHead,
  labelsInTensors: number | null,
): { readonly config: NativeModelConfig; readonly fields: SharedFields } {
  const fields = parseFields(schema, json, file, "a GPT-2 model's");
  const activation = activationOf(fields.activation_function);
  const unsupported =
    unsupportedFeature(fields) ??
    (fields.scale_attn_weights ? null : "attention without scaling (scale_attn_weights: false)");
  if (unsupported !== null || activation === null) {
    throw notSupported(file, unsupported ?? `activation_function ${fields.activation_function}`);
  }
  return {
    fields,
    config: {
      family: "gpt2",
      head,
      vocabSize: fields.vocab_size,
      maxSeqLen: fields.n_positions,
      nLayers: fields.n_layer,
      nHeads: fields.n_head,
      dModel: fields.n_embd,
      dInner: fields.n_inner ?? 4 * fields.n_embd,
      typeVocabSize: 0,
      labels: labelCount(head, fields, labelsInTensors),
      layerNormEps: fields.layer_norm_epsilon,
      embdPdrop: fields.embd_pdrop,
      attnPdrop: fields.attn_pdrop,
      residPdrop: fields.resid_pdrop,
      classifierPdrop: fields.classifier_dropout ?? fields.hidden_dropout ?? CLASSIFIER_DROPOUT,
      activation,
    },
  };
}

export function gpt2Config(
  config: NativeModelConfig,
  special: { readonly endOfTextId: number | null },
  labels?: readonly string[] | null,
): Record<string, unknown> {
  return {
    activation_function: config.activation,
    architectures: [architectureName(config)],
    attn_pdrop: config.attnPdrop,
    bos_token_id: special.endOfTextId,
    ...(config.head === "causal-lm" ? {} : { classifier_dropout: config.classifierPdrop }),
    embd_pdrop: config.embdPdrop,
    eos_token_id: special.endOfTextId,
    ...labelFields(config, labels),
    initializer_range: 0.02,
    layer_norm_epsilon: config.layerNormEps,
    model_type: "gpt2",
    n_ctx: config.maxSeqLen,
    n_embd: config.dModel,
    n_head: config.nHeads,
    // Null means four times n_embd.
    n_inner: config.dInner === 4 * config.dModel ? null : config.dInner,
    n_layer: config.nLayers,
    n_positions: config.maxSeqLen,
    // A classifier of whole sequences reads the last token that is no padding, so it must know which id pads.
    ...(config.head === "causal-lm" ? {} : { pad_token_id: special.endOfTextId }),
    reorder_and_upcast_attn: false,
    resid_pdrop: config.residPdrop,
    scale_attn_by_inverse_layer_idx: false,
    scale_attn_weights: true,
    tie_word_embeddings: true,
    torch_dtype: "float32",
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}
