// Small real things for engine tests: a model that trains in milliseconds, a token cache written byte by byte as
// docs/formats/token-cache.md says, and the options that fit both.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { NativeModelConfig, NativeTrainingOptions } from "#core/engine/addon";

export const TINY_VOCABULARY = 97;
export const TINY_END_OF_TEXT = 96;

export function tinyConfig(changes: Partial<NativeModelConfig> = {}): NativeModelConfig {
  return {
    family: "gpt2",
    head: "causal-lm",
    typeVocabSize: 0,
    labels: 1,
    classifierPdrop: 0,
    activation: "gelu_new",
    vocabSize: TINY_VOCABULARY,
    maxSeqLen: 32,
    nLayers: 2,
    nHeads: 2,
    dModel: 32,
    dInner: 128,
    layerNormEps: 1e-5,
    embdPdrop: 0,
    attnPdrop: 0,
    residPdrop: 0,
    ...changes,
  };
}

export function tinyTraining(changes: Partial<NativeTrainingOptions> = {}): NativeTrainingOptions {
  return {
    microbatchSize: 2,
    seqLen: 32,
    globalBatchSize: 4,
    seed: 17,
    optimizer: { lr: 1e-3, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 1e-5, noDecay: [] },
    gradientClipping: 1,
    precision: "fp32",
    recompute: "none",
    stochasticRounding: false,
    optimizerState: "fp32",
    frozen: [],
    labelSmoothing: 0,
    classWeights: null,
    documentMask: false,
    masking: null,
    ...changes,
  };
}

/** Repeatable whole numbers below `limit`. */
export function pseudoRandom(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Documents with some structure to learn: each word is followed by one of three. */
export function someDocuments(count: number, seed = 1): number[][] {
  const random = pseudoRandom(seed);
  return Array.from({ length: count }, () => {
    let token = random(TINY_END_OF_TEXT);
    return Array.from({ length: 20 + random(60) }, () => {
      token = (token * 5 + random(3)) % TINY_END_OF_TEXT;
      return token;
    });
  });
}

export async function writeTokenCache(
  directory: string,
  documents: readonly (readonly number[])[],
  meta: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const tokens = documents.flatMap((document) => [...document, TINY_END_OF_TEXT]);
  const offsets = new BigUint64Array(documents.length + 1);
  for (const [index, document] of documents.entries()) {
    offsets[index + 1] = (offsets[index] ?? 0n) + BigInt(document.length + 1);
  }
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, "tokens.bin"), new Uint16Array(tokens));
  await writeFile(path.join(directory, "documents.idx"), offsets);
  await writeFile(
    path.join(directory, "meta.json"),
    JSON.stringify({
      format_version: 1,
      dtype: "u16",
      token_count: tokens.length,
      document_count: documents.length,
      text_bytes: 4 * tokens.length,
      vocab_size: TINY_VOCABULARY,
      end_of_text_id: TINY_END_OF_TEXT,
      tokenizer_sha256: "",
      ...meta,
    }),
  );
  return directory;
}
