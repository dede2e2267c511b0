// Models as other people's programs leave them, made for tests: BioMedLM at full width as headers over a file without
// content (its weights are holes, so that eleven gigabytes take none), and a small one with weights.
import { mkdir, open, writeFile } from "node:fs/promises";
import path from "node:path";
import type { NativeModelConfig } from "#core/engine/addon";
import { configJson } from "#core/models/hugging-face";
import { elementCount, modelTensors } from "#core/models/tensors";

/** The public model's shape: 32 layers, 20 heads, 2 560 wide, 28 896 tokens. */
export const bioMedLm: NativeModelConfig = {
  family: "gpt2",
  head: "causal-lm",
  vocabSize: 28_896,
  maxSeqLen: 1024,
  nLayers: 32,
  nHeads: 20,
  dModel: 2560,
  dInner: 10_240,
  typeVocabSize: 0,
  labels: 1,
  layerNormEps: 1e-5,
  embdPdrop: 0.1,
  attnPdrop: 0.1,
  residPdrop: 0.1,
  classifierPdrop: 0.1,
  activation: "gelu_new",
};

/** config.json and a model.safetensors whose header is whole and whose data is a hole. */
export async function writeHeadersOnly(folder: string, config: NativeModelConfig): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(
    path.join(folder, "config.json"),
    JSON.stringify(configJson(config, { endOfTextId: config.vocabSize - 1, padId: null })),
  );
  let end = 0;
  const header = Object.fromEntries(
    modelTensors(config).map(({ name, shape }) => {
      const begin = end;
      end += 4 * elementCount(shape);
      return [name, { dtype: "F32", shape, data_offsets: [begin, end] }];
    }),
  );
  const json = Buffer.from(JSON.stringify({ __metadata__: { format: "pt" }, ...header }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(path.join(folder, "model.safetensors"), "w");
  try {
    await file.write(Buffer.concat([length, json]));
    await file.truncate(8 + json.length + end);
  } finally {
    await file.close();
  }
}
