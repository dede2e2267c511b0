import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NativeModelConfig } from "../engine/addon.ts";
import { gpt2Config, readModelConfig, writeModelFiles } from "./hugging-face.ts";

const config: NativeModelConfig = {
  family: "gpt2",
  head: "causal-lm",
  typeVocabSize: 0,
  labels: 1,
  classifierPdrop: 0,
  activation: "gelu_new",
  vocabSize: 300,
  maxSeqLen: 32,
  nLayers: 2,
  nHeads: 4,
  dModel: 16,
  dInner: 64,
  layerNormEps: 1e-5,
  embdPdrop: 0,
  attnPdrop: 0,
  residPdrop: 0,
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-model-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("config.json", () => {
  it("says what Transformers' GPT2LMHeadModel needs, and reads back", async () => {
    await writeModelFiles(folder, config, 299);
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
    expect(await readModelConfig(folder)).toEqual(config);
  });

  it("names the width of the feed-forward layer where it is unusual", () => {
    expect(gpt2Config({ ...config, dInner: 32 }, 299)["n_inner"]).toBe(32);
  });

  it("of another model is refused with what is not supported", async () => {
    for (const [change, what] of [
      [{ model_type: "bert" }, "model_type bert"],
      [{ activation_function: "relu" }, "activation_function relu"],
      [{ tie_word_embeddings: false }, "tie_word_embeddings: false"],
    ] as const) {
      await writeFile(path.join(folder, "config.json"), JSON.stringify({ ...gpt2Config(config, 299), ...change }));
      await expect(readModelConfig(folder)).rejects.toMatchObject({
        code: "NOT_SUPPORTED",
        message: expect.stringContaining(what),
      });
    }
  });

  it("that is missing or damaged is told apart", async () => {
    await expect(readModelConfig(folder)).rejects.toMatchObject({ code: "CHECKPOINT_NOT_FOUND" });
    await writeFile(path.join(folder, "config.json"), "{");
    await expect(readModelConfig(folder)).rejects.toMatchObject({ code: "JSON_INVALID" });
    await writeFile(path.join(folder, "config.json"), '{"model_type":"gpt2"}');
    await expect(readModelConfig(folder)).rejects.toMatchObject({ code: "JSON_INVALID" });
  });
});
