import { describe, expect, it } from "vitest";
import { loadRecipe } from "../recipe/load.ts";
import { type MaskingTokenizer, maskedSpecialIds, maskingOf, wordStartsOf } from "./masking.ts";

/** A vocabulary by the text of its tokens; the last is end-of-text. */
function tokenizerOf(tokens: readonly string[]): MaskingTokenizer {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  return {
    vocabSize: tokens.length,
    endOfTextId: tokens.length - 1,
    tokenBytes: (id) => encoder.encode(tokens[id] ?? ""),
    idOfBytes: (bytes) => {
      const id = tokens.indexOf(decoder.decode(bytes));
      return id < 0 ? null : id;
    },
  };
}

const words = ["a", " b", "c", "(", " -", "7", "é", "\n"];
const whole = tokenizerOf([...words, "[PAD]", "[CLS]", "[SEP]", "[MASK]", "<|endoftext|>"]);

function aRecipe(objective: string) {
  const { recipe } = loadRecipe({
    text: `max_seq_len: 64
model: {name: ${objective === "clm" ? "gpt2" : "bert"}, n_layers: 1, n_heads: 1, d_model: 8}
tokenizer: {path: /t}
data: {train: /x.txt}
objective: {name: ${objective}, whole_word: ${objective !== "clm"}}
optimizer: {lr: 1.0e-3}
max_duration: 1ba
global_train_batch_size: 1
`,
  });
  if (recipe === null) {
    throw new Error("The recipe of this test is wrong.");
  }
  return recipe;
}

describe("maskedSpecialIds", () => {
  it("finds BERT's four", () => {
    expect(maskedSpecialIds(whole)).toEqual({ padId: 8, clsId: 9, sepId: 10, maskId: 11 });
  });

  it("says which are missing and what to do", () => {
    expect(() => maskedSpecialIds(tokenizerOf([...words, "[PAD]", "[MASK]", "<|endoftext|>"]))).toThrow(
      /has no \[CLS\], \[SEP\], which a masked objective needs; train one in the recipe/,
    );
  });
});

describe("wordStartsOf", () => {
  it("begins words with white space and punctuation, and goes on with letters, digits and parts of longer characters", () => {
    expect([...wordStartsOf(whole)].slice(0, words.length)).toEqual([0, 1, 0, 1, 1, 0, 0, 1]);
  });
});

describe("maskingOf", () => {
  it("is nothing for a causal model", () => {
    expect(maskingOf(aRecipe("clm"), tokenizerOf(words))).toBeNull();
  });

  it("spares the special tokens and end-of-text", () => {
    const masking = maskingOf(aRecipe("mlm+sop"), whole);
    expect(masking).toMatchObject({ probability: 0.15, wholeWord: true, sentenceOrder: true, maskId: 11 });
    expect([...(masking?.specials ?? [])]).toEqual([8, 9, 10, 11, 12]);
    expect(maskingOf(aRecipe("mlm"), whole)?.sentenceOrder).toBe(false);
  });
});
