// config.json of BERT and of Megatron-BERT, which differ in the order of layer norms alone: BertForPreTraining,
// BertForMaskedLM and the classes with a task's head.
import { z } from "zod";
import type { NativeHead, NativeModelConfig } from "../../engine/addon.ts";
import { architectureName, modelTypes } from "./architectures.ts";
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
  hidden_act: z.string().default("gelu"),
  vocab_size: count,
  max_position_embeddings: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  hidden_size: count,
  intermediate_size: count,
  type_vocab_size: count.default(2),
  layer_norm_eps: z.number().gt(0).default(1e-12),
  hidden_dropout_prob: share.default(0.1),
  attention_probs_dropout_prob: share.default(0.1),
  is_decoder: z.boolean().default(false),
});

export function readBertConfig(
  family: "bert" | "megatron_bert",
  json: ConfigJson,
  file: string,
  head: NativeHead,
  labelsInTensors: number | null,
): { readonly config: NativeModelConfig; readonly fields: SharedFields } {
  const fields = parseFields(schema, json, file, family === "bert" ? "a BERT model's" : "a Megatron-BERT model's");
  const activation = activationOf(fields.hidden_act);
  const unsupported =
    unsupportedFeature(fields) ?? (fields.is_decoder ? "a BERT that reads from left to right (is_decoder)" : null);
  if (unsupported !== null || activation === null) {
    throw notSupported(file, unsupported ?? `hidden_act ${fields.hidden_act}`);
  }
  return {
    fields,
    config: {
      family,
      head,
      vocabSize: fields.vocab_size,
      maxSeqLen: fields.max_position_embeddings,
      nLayers: fields.num_hidden_layers,
      nHeads: fields.num_attention_heads,
      dModel: fields.hidden_size,
      dInner: fields.intermediate_size,
      typeVocabSize: fields.type_vocab_size,
      labels: labelCount(head, fields, labelsInTensors),
      layerNormEps: fields.layer_norm_eps,
      embdPdrop: fields.hidden_dropout_prob,
      attnPdrop: fields.attention_probs_dropout_prob,
      residPdrop: fields.hidden_dropout_prob,
      classifierPdrop: fields.classifier_dropout ?? fields.hidden_dropout_prob,
      activation,
    },
  };
}

/** Transformers has one dropout for embeddings and residual branches; ours, should they differ, gives the latter. */
export function bertConfig(
  config: NativeModelConfig,
  special: { readonly padId: number | null },
  labels?: readonly string[] | null,
): Record<string, unknown> {
  return {
    architectures: [architectureName(config)],
    attention_probs_dropout_prob: config.attnPdrop,
    classifier_dropout: config.classifierPdrop === config.residPdrop ? null : config.classifierPdrop,
    hidden_act: config.activation,
    hidden_dropout_prob: config.residPdrop,
    hidden_size: config.dModel,
    ...labelFields(config, labels),
    initializer_range: 0.02,
    intermediate_size: config.dInner,
    layer_norm_eps: config.layerNormEps,
    max_position_embeddings: config.maxSeqLen,
    model_type: modelTypes[config.family],
    num_attention_heads: config.nHeads,
    num_hidden_layers: config.nLayers,
    pad_token_id: special.padId ?? 0,
    position_embedding_type: "absolute",
    tie_word_embeddings: true,
    torch_dtype: "float32",
    type_vocab_size: config.typeVocabSize,
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}
