import { describe, expect, it } from "vitest";
import { loadRecipe } from "../recipe/load.ts";
import { changesBetween, checkBranchChanges, checkResumeKeys, describeChange } from "./changes.ts";

function aRecipe(overrides: readonly string[] = []) {
  const text = `max_seq_len: 64
model: {name: gpt2, n_layers: 2, n_heads: 2, d_model: 32}
tokenizer: {path: gpt2}
data: {train: /x.txt}
optimizer: {lr: 1.0e-3}
max_duration: 10ba
global_train_batch_size: 4
`;
  const { recipe } = loadRecipe({ text, overrides });
  if (recipe === null) {
    throw new Error("The recipe of this test is wrong.");
  }
  return recipe;
}

describe("changesBetween", () => {
  it("lists what differs with both values, lists as one value, what is gone last", () => {
    const changes = changesBetween(
      aRecipe(["model.freeze=[transformer.wte.*]", "samples.prompts=[A]"]),
      aRecipe(["optimizer.lr=2e-3", "samples.prompts=[A, B]", "tokenizer.train.vocab_size=300"]),
    );
    expect(changes.map(describeChange)).toEqual([
      'model.freeze ["transformer.wte.*"] → []',
      "tokenizer.train.type nothing → byte-bpe",
      "tokenizer.train.vocab_size nothing → 300",
      "tokenizer.train.min_frequency nothing → 2",
      "tokenizer.train.lowercase nothing → false",
      "tokenizer.train.protect nothing → []",
      "optimizer.lr 0.001 → 0.002",
      'samples.prompts ["A"] → ["A","B"]',
      "tokenizer.path gpt2 → nothing",
    ]);
    expect(changesBetween(aRecipe(), aRecipe())).toEqual([]);
  });
});

describe("checkBranchChanges", () => {
  it("lets rates, lengths, text, dropout and how it is computed change", () => {
    const free = ["optimizer.lr", "scheduler.t_warmup", "max_duration", "data.train", "seed", "model.dropout"];
    const computed = ["precision", "activation_checkpointing", "device_train_microbatch_size", "threads"];
    for (const key of [...free, ...computed, "objective.mask_probability", "optimizer.betas"]) {
      expect(() => checkBranchChanges([{ key, from: 1, to: 2 }]), key).not.toThrow();
    }
  });

  it("refuses by name what the weights and the optimizer rest on", () => {
    for (const key of [
      "model.d_model",
      "model.lora.rank",
      "model",
      "tokenizer.path",
      "objective.name",
      "optimizer.state",
    ]) {
      expect(() => checkBranchChanges([{ key, from: 1, to: 2 }]), key).toThrow(`A branch cannot change ${key} `);
    }
  });
});

describe("checkResumeKeys", () => {
  it("lets a run grow longer and be computed otherwise", () => {
    for (const key of ["max_duration", "optimizer.lr", "save_interval", "threads", "activation_checkpointing"]) {
      expect(() => checkResumeKeys([key]), key).not.toThrow();
    }
  });

  it("lets a stream be fetched otherwise, not ordered otherwise", () => {
    for (const key of ["data.streaming.cache_limit", "data.streaming.predownload"]) {
      expect(() => checkResumeKeys([key]), key).not.toThrow();
      expect(() => checkBranchChanges([{ key, from: 1, to: 2 }]), key).not.toThrow();
    }
    for (const key of ["data.streaming.shuffle_block_shards", "data.streaming", "data.train", "data.shuffle_seed"]) {
      expect(() => checkResumeKeys([key]), key).toThrow(`A resume cannot change ${key}: `);
    }
    const key = "data.streaming.shuffle_block_shards";
    expect(() => checkBranchChanges([{ key, from: 4, to: 8 }])).toThrow(`A branch cannot change ${key} `);
  });

  it("refuses another run, and names the branch where that is one", () => {
    expect(() => checkResumeKeys(["seed"])).toThrow(/A resume cannot change seed: .*assay train --from RUN@STEP/);
    expect(() => checkResumeKeys(["optimizer"])).toThrow(
      /A resume cannot change optimizer: .*start one from the recipe/,
    );
    expect(() => checkResumeKeys(["model.n_layers"])).toThrow(/start one from the recipe/);
  });
});
