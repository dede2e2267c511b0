// A GPT-2 of a few kilobytes with a tokenizer of its own, as a model folder.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { loadAddon, type NativeModel, type NativeModelConfig, type NativeTokenizer } from "#core/engine/addon";
import { weightsName, writeModelFiles } from "#core/models/hugging-face";
import { trainTokenizer } from "#core/tokenizer/train";
import { tinyConfig } from "./engine.ts";
import { writeCorpus } from "./runner.ts";

/** Weights that are large enough for logits to differ from each other. */
export async function fillWeights(model: NativeModel, seed: number): Promise<void> {
  await model.initialize(seed);
  for (const { name, shape } of model.parameters()) {
    if (shape.length === 2) {
      const values = await model.readTensor(name);
      await model.writeTensor(
        name,
        values.map((value) => 5 * value),
      );
    }
  }
}

/** Bytes that are no letters, digits or signs of ASCII are never the likeliest: what it says is text. */
async function speakAscii(model: NativeModel, config: NativeModelConfig): Promise<void> {
  const name = "transformer.wte.weight";
  const rows = await model.readTensor(name);
  rows.fill(0, 94 * config.dModel, 256 * config.dModel);
  await model.writeTensor(name, rows);
}

export async function writeSmallModel(
  folder: string,
  changes: Partial<NativeModelConfig> = {},
): Promise<{ readonly tokenizer: NativeTokenizer; readonly config: NativeModelConfig }> {
  await mkdir(folder, { recursive: true });
  const corpus = path.join(folder, "..", "corpus.jsonl");
  await writeCorpus(corpus, 20);
  const { tokenizer } = await trainTokenizer({ type: "byte-bpe", vocabSize: 300, minFrequency: 2, inputs: [corpus] });
  await tokenizer.saveTokenizerJson(path.join(folder, "tokenizer.json"));
  const config = tinyConfig({ vocabSize: tokenizer.vocabSize, ...changes });
  const model = loadAddon().createModel(config, { threads: 1 });
  await fillWeights(model, 5);
  if (config.family === "gpt2") {
    await speakAscii(model, config);
  }
  await model.saveWeights(path.join(folder, weightsName));
  model.dispose();
  await writeModelFiles(folder, config, tokenizer.endOfTextId);
  return { tokenizer, config };
}
