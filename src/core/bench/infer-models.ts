// The model that inference is measured with: GPT-2 of 124M parameters and random weights, as safetensors for us and as
// GGUF for the peers. Made once and kept with the caches, 1.4 GB in all.
import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { loadAddon, type NativeModel, type NativeModelConfig, type NativeWeightType } from "../engine/addon.ts";
import { ggufMetadata, planGguf } from "../models/gguf/gpt2.ts";
import { type GgufDataType, writeGguf } from "../models/gguf/writer.ts";
import { transposed } from "../models/transpose.ts";
import { loadGpt2Tokenizer } from "../tokenizer/gpt2.ts";
import type { BenchProgress } from "./rows.ts";

const config: NativeModelConfig = {
  family: "gpt2",
  head: "causal-lm",
  vocabSize: 50_257,
  maxSeqLen: 1024,
  nLayers: 12,
  nHeads: 12,
  dModel: 768,
  dInner: 3072,
  typeVocabSize: 0,
  labels: 1,
  layerNormEps: 1e-5,
  embdPdrop: 0,
  attnPdrop: 0,
  residPdrop: 0,
  classifierPdrop: 0,
  activation: "gelu_new",
};

export type InferModels = { readonly safetensors: string; readonly gguf: Readonly<Record<GgufDataType, string>> };

/** `$ASSAY_CACHE`, else ~/.cache/assay: what can be made or fetched again. */
export function cachePath(...parts: readonly string[]): string {
  const override = process.env["ASSAY_CACHE"];
  const root = override === undefined || override === "" ? path.join(homedir(), ".cache", "assay") : override;
  return path.join(root, ...parts);
}

async function exportGguf(model: NativeModel, file: string, type: GgufDataType): Promise<void> {
  const tokenizer = await loadGpt2Tokenizer();
  const special = new Map([[tokenizer.endOfTextId ?? 0, "<|endoftext|>"]]);
  const tensors = planGguf(model.parameters(), type);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  await writeGguf({
    file,
    metadata: ggufMetadata({ config, tokenizer, special, name: "random", type }),
    tensors,
    read: async (name) => {
      const { source = "", isTransposed = false, shape: [rows = 1, columns = 1] = [] } = byName.get(name) ?? {};
      const values = await model.readTensor(source);
      return isTransposed ? transposed(values, columns, rows) : values;
    },
  });
}

/** The files, made where they are not there yet; those of the peers only if they are wanted. */
export async function inferModels(options: {
  readonly withGguf: boolean;
  readonly threads: number;
  readonly onProgress: BenchProgress;
}): Promise<InferModels> {
  const folder = cachePath("bench", "gpt2-124m-random");
  const files: InferModels = {
    safetensors: path.join(folder, "model.safetensors"),
    gguf: {
      f32: path.join(folder, "model-f32.gguf"),
      f16: path.join(folder, "model-f16.gguf"),
      q8_0: path.join(folder, "model-q8_0.gguf"),
    },
  };
  const types: readonly GgufDataType[] = options.withGguf ? ["f32", "f16", "q8_0"] : [];
  const missing = types.filter((type) => !existsSync(files.gguf[type]));
  if (missing.length === 0 && existsSync(files.safetensors)) {
    return files;
  }
  await mkdir(folder, { recursive: true });
  options.onProgress(`making a model with random weights in ${folder}`);
  const model = loadAddon().createModel(config, { threads: options.threads });
  try {
    await model.initialize(17);
    const temporary = `${files.safetensors}.tmp-${process.pid}`;
    await model.saveWeights(temporary);
    await rename(temporary, files.safetensors);
    for (const type of missing) {
      options.onProgress(`writing it as GGUF ${type}`);
      await exportGguf(model, files.gguf[type], type);
    }
  } finally {
    model.dispose();
  }
  return files;
}

export async function openInferModel(
  files: InferModels,
  weights: NativeWeightType,
  threads: number,
): Promise<NativeModel> {
  const model = loadAddon().createModel(config, { threads, weights });
  await model.loadWeights(files.safetensors);
  return model;
}
