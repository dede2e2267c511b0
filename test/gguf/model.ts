// The model under test: a byte-level BPE of 28 896 tokens learned from abstracts, and a small GPT-2 trained on them for
// a moment, so that what it says depends on every weight and greedy choices are not ties.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { loadAddon, type NativeModelConfig, type NativeTokenizer } from "#core/engine/addon";
import { weightsName, writeModelFiles } from "#core/models/hugging-face";
import { programRoot } from "#core/paths";
import { trainTokenizer } from "#core/tokenizer/train";
import { AppError } from "#shared/errors";
import { tinyTraining } from "../support/engine.ts";

const VOCABULARY = 28_896;

type Abstract = { readonly text: string };

function readAbstracts(file: string): readonly string[] {
  const bytes = readFileSync(file);
  const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as Abstract).text);
}

/** Abstracts to learn from and others to compare on; `isSample` where only the bundled ones are there. */
export function findAbstracts(): {
  readonly train: readonly string[];
  readonly held: readonly string[];
  readonly isSample: boolean;
} {
  const data = path.resolve(
    process.env["ASSAY_TEST_DATA"] ?? path.join(programRoot(), "..", "shared", "data"),
    "pubmed",
  );
  if (existsSync(path.join(data, "train.jsonl.gz"))) {
    const held = ["valid.jsonl", "test.jsonl"].flatMap((name) => readAbstracts(path.join(data, name)));
    return { train: readAbstracts(path.join(data, "train.jsonl.gz")), held: held.slice(0, 1000), isSample: false };
  }
  const sample = readAbstracts(path.join(programRoot(), "resources", "sample", "abstracts.jsonl"));
  return { train: sample, held: sample, isSample: true };
}

async function* documents(texts: readonly string[]): AsyncGenerator<Abstract> {
  for (const text of texts) {
    yield { text };
  }
}

/** As large as BioMedLM's, or as large as the text supports where it is only the sample. */
async function learnTokenizer(texts: readonly string[]): Promise<NativeTokenizer> {
  const learn = async (vocabSize: number): Promise<NativeTokenizer> =>
    (await trainTokenizer({ type: "byte-bpe", vocabSize, minFrequency: 2, documents: documents(texts) })).tokenizer;
  try {
    return await learn(VOCABULARY);
  } catch (error) {
    const supported = error instanceof AppError ? error.details?.["supported"] : undefined;
    if (typeof supported !== "number") {
      throw error;
    }
    return learn(supported);
  }
}

const STEPS = 40;
const BATCH = 4;
const LENGTH = 64;
const LEARNING_RATE = 3e-3;

export type ModelUnderTest = { readonly tokenizer: NativeTokenizer; readonly config: NativeModelConfig };

/** Writes it as a model folder. */
export async function makeModel(folder: string, texts: readonly string[]): Promise<ModelUnderTest> {
  const tokenizer = await learnTokenizer(texts);
  const config: NativeModelConfig = {
    family: "gpt2",
    head: "causal-lm",
    vocabSize: tokenizer.vocabSize,
    maxSeqLen: 256,
    nLayers: 3,
    nHeads: 4,
    dModel: 128,
    dInner: 512,
    typeVocabSize: 0,
    labels: 1,
    layerNormEps: 1e-5,
    embdPdrop: 0,
    attnPdrop: 0,
    residPdrop: 0,
    classifierPdrop: 0,
    activation: "gelu_new",
  };
  const addon = loadAddon();
  const model = addon.createModel(config, { threads: addon.machine().physicalCores });
  await model.initialize(17);
  await model.prepareTraining(
    tinyTraining({
      microbatchSize: BATCH,
      seqLen: LENGTH,
      globalBatchSize: BATCH,
      optimizer: { lr: LEARNING_RATE, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, noDecay: [] },
    }),
  );
  const { ids } = await tokenizer.encodeBatch(texts.slice(0, 200));
  for (let step = 1; step <= STEPS; step += 1) {
    const tokens = new Int32Array(BATCH * (LENGTH + 1));
    for (let row = 0; row < BATCH; row += 1) {
      const begin = (((step - 1) * BATCH + row) * LENGTH) % (ids.length - LENGTH - 1);
      tokens.set(ids.subarray(begin, begin + LENGTH + 1), row * (LENGTH + 1));
    }
    await model.computeGradients({ tokens, batch: BATCH, seqLen: LENGTH });
    await model.applyUpdate({ step, lr: LEARNING_RATE });
  }
  await model.saveWeights(path.join(folder, weightsName));
  model.dispose();
  await tokenizer.saveTokenizerJson(path.join(folder, "tokenizer.json"));
  await tokenizer.saveVocabAndMerges(folder);
  await writeModelFiles(folder, config, tokenizer.endOfTextId);
  return { tokenizer, config };
}
