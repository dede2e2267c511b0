// Writes the weights a recipe starts from, as a checkpoint folder that bench/parity/compare_training.py begins with.
// usage: npx tsx bench/parity/export-initial.ts RUN OUT    (RUN: a run directory, whose resolved recipe names shape and seed)
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { parse } from "yaml";
import { loadAddon } from "#core/engine/addon";

const [run, out] = process.argv.slice(2);
if (run === undefined || out === undefined) {
  console.error("usage: npx tsx bench/parity/export-initial.ts RUN OUT");
  process.exit(2);
}
const recipe = parse(await readFile(path.join(run, "recipe.yaml"), "utf8"));
const {
  d_model: dModel,
  n_layers: nLayers,
  n_heads: nHeads,
  vocab_size: vocabSize,
  expansion_ratio: expansionRatio,
} = recipe.model;
const model = loadAddon().createModel(
  {
    family: "gpt2",
    vocabSize,
    maxSeqLen: recipe.max_seq_len,
    nLayers,
    nHeads,
    dModel,
    dInner: (expansionRatio ?? 4) * dModel,
    layerNormEps: 1e-5,
    embdPdrop: 0,
    attnPdrop: 0,
    residPdrop: 0,
  },
  { threads: 1 },
);
await model.initialize(recipe.seed);
await mkdir(out, { recursive: true });
await model.saveWeights(path.join(out, "model.safetensors"));
const config = {
  n_layer: nLayers,
  n_head: nHeads,
  n_embd: dModel,
  n_positions: recipe.max_seq_len,
  vocab_size: vocabSize,
  layer_norm_epsilon: 1e-5,
};
await writeFile(path.join(out, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
model.dispose();
