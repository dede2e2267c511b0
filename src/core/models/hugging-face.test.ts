import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NativeModelConfig } from "../engine/addon.ts";
import { headsOf } from "./hugging-face/architectures.ts";
import { configJson, readModelConfig, readModelFolder, writeModelFiles } from "./hugging-face.ts";

const gpt2: NativeModelConfig = {
  family: "gpt2",
  head: "causal-lm",
  vocabSize: 300,
  maxSeqLen: 32,
  nLayers: 2,
  nHeads: 4,
  dModel: 16,
  dInner: 64,
  typeVocabSize: 0,
  labels: 1,
  layerNormEps: 1e-5,
  embdPdrop: 0,
  attnPdrop: 0,
  residPdrop: 0,
  classifierPdrop: 0.1,
  activation: "gelu_new",
};

const bert: NativeModelConfig = {
  ...gpt2,
  family: "bert",
  head: "pretraining",
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  embdPdrop: 0.1,
  attnPdrop: 0.2,
  residPdrop: 0.1,
  classifierPdrop: 0.3,
  activation: "gelu",
};

const ids = { endOfTextId: 299, padId: 0 };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-model-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function writeConfig(value: unknown): Promise<void> {
  await writeFile(path.join(folder, "config.json"), JSON.stringify(value));
}

/** The header of a safetensors file with tensors of zeros, one byte a name and shape. */
async function writeTensors(shapes: Readonly<Record<string, readonly number[]>>): Promise<void> {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const bytes = 4 * shape.reduce((product, extent) => product * extent, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path.join(folder, "model.safetensors"), Buffer.concat([length, text, Buffer.alloc(offset)]));
}

describe("config.json", () => {
  it("says what Transformers' GPT2LMHeadModel needs, and reads back", async () => {
    await writeModelFiles(folder, gpt2, 299);
    expect(JSON.parse(await readFile(path.join(folder, "config.json"), "utf8"))).toMatchObject({
      architectures: ["GPT2LMHeadModel"],
      model_type: "gpt2",
      activation_function: "gelu_new",
      n_embd: 16,
      n_head: 4,
      n_inner: null,
      n_layer: 2,
      n_positions: 32,
      vocab_size: 300,
      bos_token_id: 299,
      eos_token_id: 299,
      tie_word_embeddings: true,
      torch_dtype: "float32",
    });
    expect(await readModelConfig(folder)).toEqual(gpt2);
  });

  it("says what Transformers' BertForPreTraining and MegatronBertForMaskedLM need", async () => {
    await writeModelFiles(folder, bert, null, { padId: 0 });
    expect(JSON.parse(await readFile(path.join(folder, "config.json"), "utf8"))).toMatchObject({
      architectures: ["BertForPreTraining"],
      model_type: "bert",
      hidden_act: "gelu",
      hidden_size: 16,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      intermediate_size: 64,
      hidden_dropout_prob: 0.1,
      attention_probs_dropout_prob: 0.2,
      classifier_dropout: 0.3,
      max_position_embeddings: 32,
      type_vocab_size: 2,
      layer_norm_eps: 1e-12,
      pad_token_id: 0,
      position_embedding_type: "absolute",
    });
    expect(await readModelConfig(folder)).toEqual(bert);
    expect(configJson({ ...bert, family: "megatron_bert", head: "masked-lm" }, ids)).toMatchObject({
      architectures: ["MegatronBertForMaskedLM"],
      model_type: "megatron-bert",
    });
  });

  it("reads back what it wrote for every family and head", async () => {
    for (const family of ["gpt2", "bert", "megatron_bert"] as const) {
      for (const head of headsOf(family)) {
        const labels = head === "sequence-classification" || head === "token-classification" ? 3 : 1;
        const config = { ...(family === "gpt2" ? gpt2 : bert), family, head, labels };
        await writeConfig(configJson(config, ids));
        const read = await readModelFolder(folder);
        expect(read.config).toEqual(config);
        expect(read.hasHead).toBe(true);
      }
    }
  });

  it("keeps the names of the labels", async () => {
    const config = { ...bert, head: "token-classification", labels: 3 } as const;
    await writeConfig(configJson(config, ids, ["O", "B-Chemical", "I-Chemical"]));
    expect(JSON.parse(await readFile(path.join(folder, "config.json"), "utf8"))).toMatchObject({
      id2label: { 0: "O", 1: "B-Chemical", 2: "I-Chemical" },
      label2id: { O: 0, "B-Chemical": 1, "I-Chemical": 2 },
    });
    expect((await readModelFolder(folder)).labels).toEqual(["O", "B-Chemical", "I-Chemical"]);
    expect(() => configJson(config, ids, ["O"])).toThrow(/3 labels.*1 names/);
  });

  it("numbers labels by their key, not by their place, and refuses a gap", async () => {
    const json = configJson({ ...bert, head: "sequence-classification", labels: 2 }, ids);
    await writeConfig({ ...json, id2label: { 1: "yes", 0: "no" } });
    expect((await readModelFolder(folder)).labels).toEqual(["no", "yes"]);
    await writeConfig({ ...json, id2label: { 0: "no", 2: "yes" } });
    await expect(readModelFolder(folder)).rejects.toMatchObject({ code: "JSON_INVALID" });
  });

  it("of a bare model takes the head that is asked for", async () => {
    await writeConfig({ ...configJson(bert, ids), architectures: ["BertModel"] });
    await writeTensors({ "embeddings.word_embeddings.weight": [300, 16] });
    expect(await readModelFolder(folder)).toMatchObject({ hasHead: false, config: { head: "masked-lm" } });
    expect(await readModelFolder(folder, { head: "span-qa" })).toMatchObject({
      hasHead: false,
      config: { head: "span-qa" },
    });
    await expect(readModelFolder(folder, { head: "causal-lm" })).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  });

  it("without architectures takes the head its tensors show", async () => {
    for (const [family, tensors, head] of [
      [bert, { "cls.predictions.bias": [300] }, "masked-lm"],
      [bert, { "cls.predictions.bias": [300], "cls.seq_relationship.weight": [2, 16] }, "pretraining"],
      [bert, { "classifier.weight": [1, 16], "bert.pooler.dense.weight": [16, 16] }, "multiple-choice"],
      [bert, { "classifier.weight": [5, 16], "bert.pooler.dense.weight": [16, 16] }, "sequence-classification"],
      [bert, { "classifier.weight": [5, 16] }, "token-classification"],
      [bert, { "qa_outputs.weight": [2, 16] }, "span-qa"],
      [gpt2, { "score.weight": [5, 16] }, "sequence-classification"],
      [gpt2, { "wte.weight": [300, 16] }, "causal-lm"],
    ] as const) {
      const { architectures: _, ...json } = configJson(family, ids);
      await writeConfig(json);
      await writeTensors(tensors);
      const read = await readModelFolder(folder);
      expect(read).toMatchObject({ architecture: null, hasHead: true, config: { head } });
      const classifies = head === "sequence-classification" || head === "token-classification";
      expect(read.config.labels).toBe(classifies ? 5 : 1);
    }
  });

  it("names the width of the feed-forward layer where it is unusual", () => {
    expect(configJson({ ...gpt2, dInner: 32 }, ids)["n_inner"]).toBe(32);
  });

  it("takes the spellings of the same activation, and several end-of-text ids", async () => {
    for (const name of ["gelu_new", "gelu_fast", "gelu_pytorch_tanh"]) {
      await writeConfig({ ...configJson(gpt2, ids), activation_function: name, eos_token_id: [299, 12] });
      expect(await readModelFolder(folder)).toMatchObject({
        config: { activation: "gelu_new" },
        special: { eos: 299 },
      });
    }
  });

  it("of another model is refused with what is not supported", async () => {
    for (const [config, change, what] of [
      [gpt2, { model_type: "llama" }, "model_type llama"],
      [gpt2, { architectures: ["GPT2DoubleHeadsModel"] }, "GPT2DoubleHeadsModel"],
      [gpt2, { activation_function: "relu" }, "activation_function relu"],
      [gpt2, { activation_function: "constructor" }, "activation_function constructor"],
      [gpt2, { tie_word_embeddings: false }, "tie_word_embeddings: false"],
      [gpt2, { scale_attn_weights: false }, "scale_attn_weights"],
      [gpt2, { add_cross_attention: true }, "add_cross_attention"],
      [gpt2, { quantization_config: { load_in_8bit: true } }, "quantization_config"],
      [bert, { position_embedding_type: "relative_key" }, "position_embedding_type relative_key"],
      [bert, { hidden_act: "swish" }, "hidden_act swish"],
      [bert, { is_decoder: true }, "is_decoder"],
      [bert, { pruned_heads: { 0: [1] } }, "pruned_heads"],
    ] as const) {
      await writeConfig({ ...configJson(config, ids), ...change });
      await expect(readModelConfig(folder)).rejects.toMatchObject({
        code: "NOT_SUPPORTED",
        message: expect.stringContaining(what),
      });
    }
  });

  it("that is missing or damaged is told apart", async () => {
    await expect(readModelConfig(folder)).rejects.toMatchObject({ code: "CHECKPOINT_NOT_FOUND" });
    for (const text of ["{", "[]", "null", "{}", '{"model_type":"gpt2","architectures":["GPT2Model"]}']) {
      await writeFile(path.join(folder, "config.json"), text);
      await expect(readModelConfig(folder), text).rejects.toMatchObject({ code: "JSON_INVALID" });
    }
    await writeConfig({ ...configJson(gpt2, ids), n_layer: 2 ** 40 });
    await expect(readModelConfig(folder)).rejects.toMatchObject({ code: "JSON_INVALID" });
  });

  it("leaves a foreign tokenizer's own files as they are", async () => {
    await writeFile(path.join(folder, "tokenizer_config.json"), '{"model_max_length":77}\n');
    await writeModelFiles(folder, gpt2, 299);
    expect(JSON.parse(await readFile(path.join(folder, "tokenizer_config.json"), "utf8"))).toEqual({
      model_max_length: 77,
    });
    expect(JSON.parse(await readFile(path.join(folder, "special_tokens_map.json"), "utf8"))).toMatchObject({
      eos_token: "<|endoftext|>",
    });
  });
});
