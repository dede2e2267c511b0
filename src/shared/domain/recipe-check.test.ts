import { describe, expect, it } from "vitest";
import { recipeSchema } from "./recipe.ts";
import { checkRecipe } from "./recipe-check.ts";

function findings(
  changes: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  top: Readonly<Record<string, unknown>> = {},
) {
  const base = {
    max_seq_len: 64,
    model: { name: "gpt2", n_layers: 2, n_heads: 2, d_model: 32, ...changes["model"] },
    tokenizer: { train: { vocab_size: 300 }, ...changes["tokenizer"] },
    data: { train: "text.jsonl" },
    objective: { name: "clm", ...changes["objective"] },
    optimizer: { lr: 1e-3, ...changes["optimizer"] },
    samples: { prompts: [], ...changes["samples"] },
    max_duration: "10ba",
    global_train_batch_size: 4,
    ...top,
  };
  return checkRecipe(recipeSchema.parse(base));
}

const at = (path: string, severity: "error" | "warning") =>
  expect.objectContaining({ path: path.split("."), severity, message: expect.stringContaining(path) });
const bert = { name: "bert" };

describe("checkRecipe", () => {
  it("has nothing to say of a sound recipe of each family", () => {
    expect(findings({})).toEqual([]);
    for (const name of ["bert", "megatron_bert"]) {
      for (const objective of ["mlm", "mlm+sop"]) {
        expect(findings({ model: { name }, objective: { name: objective } })).toEqual([]);
      }
    }
  });

  it("asks for the shape unless a model gives it", () => {
    const withoutWidth = { d_model: undefined, n_heads: undefined };
    const found = findings({ model: withoutWidth });
    expect(found.map(({ path }) => path.join("."))).toEqual(["model.n_heads", "model.d_model"]);
    expect(found[0]?.message).toContain("model.init_from");
    expect(findings({ model: { ...withoutWidth, init_from: "/m" }, tokenizer: { train: undefined } })).toEqual([]);
  });

  it("keeps masked objectives to models that see both sides, and the other way round", () => {
    expect(findings({ objective: { name: "mlm" } })).toEqual([at("objective.name", "error")]);
    expect(findings({ model: bert })).toEqual([at("objective.name", "error")]);
    expect(findings({ model: bert })[0]?.suggestion).toBe("mlm");
  });

  it("remarks on keys that do nothing for the objective", () => {
    expect(findings({ objective: { whole_word: true } })).toEqual([at("objective.whole_word", "warning")]);
    const mlm = { name: "mlm" };
    expect(findings({ model: bert, objective: { ...mlm, document_mask: true } })).toEqual([
      at("objective.document_mask", "warning"),
    ]);
    expect(findings({ model: bert, objective: mlm, samples: { prompts: ["A"] } })).toEqual([
      at("samples.prompts", "warning"),
    ]);
  });

  it("leaves room for the special tokens of a masked objective", () => {
    const small = { train: { vocab_size: 260 } };
    expect(findings({ model: bert, objective: { name: "mlm" }, tokenizer: small })).toEqual([
      at("tokenizer.train.vocab_size", "error"),
    ]);
    expect(findings({ tokenizer: small })).toEqual([]);
  });

  it("warns of LoRA on random weights, and knows the layers it can sit on", () => {
    expect(findings({ model: { lora: { rank: 4 } } })).toEqual([at("model.lora", "warning")]);
    const trained = { init_from: "/m" };
    const tokenizer = { train: undefined };
    expect(findings({ model: { ...trained, lora: { rank: 4, targets: ["c_attn", "mlp.c_fc"] } }, tokenizer })).toEqual(
      [],
    );
    const wrong = findings({ model: { ...trained, lora: { rank: 4, targets: ["query"] } }, tokenizer });
    expect(wrong).toEqual([at("model.lora.targets", "error")]);
    expect(wrong[0]?.message).toContain("c_attn, c_proj, c_fc");
    expect(findings({ model: { ...trained, lora: { rank: 64 } }, tokenizer })).toEqual([
      at("model.lora.rank", "error"),
    ]);
  });

  it("keeps bf16 weights to a frozen base", () => {
    expect(findings({ model: { weights: "bf16" } })).toEqual([at("model.weights", "error")]);
    const lora = { init_from: "/m", lora: { rank: 4 }, weights: "bf16" };
    expect(findings({ model: lora, tokenizer: { train: undefined } })).toEqual([]);
  });

  it("remarks on freezing and 8-bit state beside LoRA", () => {
    const lora = { init_from: "/m", lora: { rank: 4 }, freeze: ["transformer.wte.*"] };
    expect(findings({ model: lora, optimizer: { state: "8bit" }, tokenizer: { train: undefined } })).toEqual([
      at("model.freeze", "warning"),
      at("optimizer.state", "warning"),
    ]);
    expect(findings({ optimizer: { state: "8bit" } })).toEqual([]);
  });

  it("wants freeze patterns that match something, and something left to train", () => {
    expect(findings({ model: { freeze: ["transformer.h.1.*", "*.bias"] } })).toEqual([]);
    expect(findings({ model: { freeze: ["transformer.h.2.*"] } })).toEqual([at("model.freeze", "error")]);
    expect(findings({ model: { freeze: ["bert.*"] } })).toEqual([at("model.freeze", "error")]);
    expect(findings({ model: { freeze: ["*"] } })[0]?.message).toContain("nothing would be trained");
  });

  it("refuses a new tokenizer for old weights", () => {
    expect(findings({ model: { init_from: "/m" } })).toEqual([at("tokenizer.train", "error")]);
  });
});
