// The small files of a checkpoint as Hugging Face Transformers reads them (GPT2LMHeadModel, GPT2Tokenizer), and the
// model's shape read back from them. Weights are the engine's matter.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { END_OF_TEXT } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import type { NativeModelConfig } from "../engine/addon.ts";

export const weightsName = "model.safetensors";

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** config.json. */
export function gpt2Config(config: NativeModelConfig, endOfTextId: number): Record<string, unknown> {
  return {
    activation_function: "gelu_new",
    architectures: ["GPT2LMHeadModel"],
    attn_pdrop: config.attnPdrop,
    bos_token_id: endOfTextId,
    embd_pdrop: config.embdPdrop,
    eos_token_id: endOfTextId,
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

const configSchema = z.object({
  model_type: z.string(),
  activation_function: z.string().default("gelu_new"),
  vocab_size: z.number().int().min(1),
  n_positions: z.number().int().min(1),
  n_layer: z.number().int().min(1),
  n_head: z.number().int().min(1),
  n_embd: z.number().int().min(1),
  n_inner: z.number().int().min(1).nullish(),
  layer_norm_epsilon: z.number().default(1e-5),
  embd_pdrop: z.number().default(0.1),
  attn_pdrop: z.number().default(0.1),
  resid_pdrop: z.number().default(0.1),
  tie_word_embeddings: z.boolean().default(true),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  eos_token_id: z.number().int().nullish(),
});

/** Reads the config.json of a checkpoint folder; a model the engine cannot run is NOT_SUPPORTED and says why. */
export async function readModelConfig(folder: string): Promise<NativeModelConfig> {
  const file = path.join(folder, "config.json");
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw error instanceof SyntaxError
      ? new AppError("JSON_INVALID", `${file} is not JSON; export the model again.`, { cause: error })
      : new AppError("CHECKPOINT_NOT_FOUND", `${folder} is not a model: it has no config.json that can be read.`, {
          cause: error,
        });
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new AppError("JSON_INVALID", `${file} is not a GPT-2 model's: ${issue?.path.join(".")}: ${issue?.message}.`);
  }
  const config = parsed.data;
  const unsupported =
    config.model_type !== "gpt2"
      ? `model_type ${config.model_type}`
      : config.activation_function !== "gelu_new"
        ? `activation_function ${config.activation_function}`
        : !config.tie_word_embeddings
          ? "an output layer of its own (tie_word_embeddings: false)"
          : !config.scale_attn_weights || config.scale_attn_by_inverse_layer_idx
            ? "unusual attention scaling"
            : null;
  if (unsupported !== null) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${file} asks for ${unsupported}; this build runs GPT-2 with gelu_new and tied embeddings.`,
    );
  }
  return {
    family: "gpt2",
    head: "causal-lm",
    typeVocabSize: 0,
    labels: 1,
    classifierPdrop: config.resid_pdrop,
    activation: "gelu_new",
    vocabSize: config.vocab_size,
    maxSeqLen: config.n_positions,
    nLayers: config.n_layer,
    nHeads: config.n_head,
    dModel: config.n_embd,
    dInner: config.n_inner ?? 4 * config.n_embd,
    layerNormEps: config.layer_norm_epsilon,
    embdPdrop: config.embd_pdrop,
    attnPdrop: config.attn_pdrop,
    residPdrop: config.resid_pdrop,
  };
}

/** config.json, generation_config.json and what tells Transformers how to use the tokenizer's files. */
export async function writeModelFiles(folder: string, config: NativeModelConfig, endOfTextId: number): Promise<void> {
  const files = {
    "config.json": gpt2Config(config, endOfTextId),
    "generation_config.json": { bos_token_id: endOfTextId, eos_token_id: endOfTextId },
    "tokenizer_config.json": {
      add_prefix_space: false,
      bos_token: END_OF_TEXT,
      clean_up_tokenization_spaces: false,
      eos_token: END_OF_TEXT,
      model_max_length: config.maxSeqLen,
      tokenizer_class: "GPT2Tokenizer",
      unk_token: END_OF_TEXT,
    },
    "special_tokens_map.json": { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT },
  };
  for (const [name, value] of Object.entries(files)) {
    await writeFile(path.join(folder, name), json(value));
  }
}
