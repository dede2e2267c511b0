import { describe, expect, it } from "vitest";
import type { NativeModelConfig } from "../engine/addon.ts";
import { lintTokenizer } from "./lint.ts";
import { ownFindings } from "./lint-vocabulary.ts";
import type { TokenizerFacts } from "./tokenizer-facts.ts";

const gpt2: NativeModelConfig = {
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
const bert: NativeModelConfig = { ...gpt2, family: "bert", head: "masked-lm", vocabSize: 30_522, maxSeqLen: 512 };

const gpt2Tokenizer: TokenizerFacts = {
  kind: "byte-bpe",
  source: "gpt2",
  vocabSize: 50_257,
  highestId: 50_256,
  special: { "<|endoftext|>": 50_256 },
  roles: {},
  maxLength: null,
  lowerCases: null,
  hasCapitals: true,
};
const bertTokenizer: TokenizerFacts = {
  ...gpt2Tokenizer,
  kind: "wordpiece",
  source: "bert",
  vocabSize: 30_522,
  highestId: 30_521,
  special: { "[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103 },
  lowerCases: true,
  hasCapitals: false,
};

const none = { bos: null, eos: null, pad: null };

function found(
  config: NativeModelConfig,
  tokenizer: TokenizerFacts,
  special: { bos: number | null; eos: number | null; pad: number | null } = none,
): string[] {
  return lintTokenizer(config, special, tokenizer).map(({ code, severity }) => `${severity} ${code}`);
}

describe("lint of a tokenizer against a model", () => {
  it("finds nothing where they belong together", () => {
    expect(found(gpt2, gpt2Tokenizer, { bos: 50_256, eos: 50_256, pad: null })).toEqual([]);
    expect(found(bert, bertTokenizer, { ...none, pad: 0 })).toEqual([]);
  });

  it("knows GPT-2's tokenizer on BioMedLM by name", () => {
    const [finding] = lintTokenizer({ ...gpt2, vocabSize: 28_896 }, none, gpt2Tokenizer);
    expect(finding).toMatchObject({ code: "VOCABULARY_TOO_LARGE_FOR_MODEL", severity: "error" });
    expect(finding?.message).toMatch(/GPT-2's tokenizer.*50 256.*28 896.*BioMedLM/);
  });

  it("knows BERT's cased vocabulary on an uncased model, whose ids would mean other words", () => {
    const cased = { ...bertTokenizer, vocabSize: 28_996, highestId: 28_995, hasCapitals: true, lowerCases: false };
    const [finding] = lintTokenizer(bert, { ...none, pad: 0 }, cased);
    expect(finding).toMatchObject({ code: "VOCABULARY_SMALLER_THAN_MODEL", severity: "warning" });
    expect(finding?.message).toMatch(/cased vocabulary.*uncased.*other words/);
  });

  it("takes rows that only pad the embedding for what they are, and many unused ones as a sign", () => {
    const small = { ...gpt2Tokenizer, vocabSize: 30_000, highestId: 29_999, special: { "<|endoftext|>": 29_999 } };
    expect(found({ ...gpt2, vocabSize: 30_080 }, small)).toEqual(["note VOCABULARY_PADDED"]);
    expect(found({ ...gpt2, vocabSize: 40_000 }, small)).toEqual(["warning VOCABULARY_SMALLER_THAN_MODEL"]);
    expect(found({ ...gpt2, vocabSize: 30_001 }, small)).toEqual(["warning VOCABULARY_SMALLER_THAN_MODEL"]);
  });

  it("counts by the highest id, not by how many tokens there are", () => {
    const holes = { ...gpt2Tokenizer, vocabSize: 50_000 };
    expect(found(gpt2, holes)).toEqual(["warning VOCABULARY_HAS_HOLES"]);
    expect(found({ ...gpt2, vocabSize: 50_100 }, holes)).toEqual([
      "error VOCABULARY_TOO_LARGE_FOR_MODEL",
      "warning VOCABULARY_HAS_HOLES",
    ]);
  });

  it("compares the ids of special tokens with the model's", () => {
    expect(found(gpt2, gpt2Tokenizer, { ...none, eos: 0 })).toEqual(["warning END_OF_TEXT_DIFFERS"]);
    expect(found(gpt2, gpt2Tokenizer, { ...none, eos: 60_000 })).toEqual([
      "error SPECIAL_ID_OUT_OF_RANGE",
      "warning END_OF_TEXT_DIFFERS",
    ]);
    expect(found(gpt2, { ...gpt2Tokenizer, special: {} })).toEqual(["warning END_OF_TEXT_MISSING"]);
    expect(found(bert, bertTokenizer, { ...none, pad: 5 })).toEqual(["warning PADDING_DIFFERS"]);
  });

  it("takes the end of text that the tokenizer's own files name", () => {
    const named = { ...gpt2Tokenizer, special: { "</s>": 7, "<|endoftext|>": 50_256 }, roles: { eos_token: "</s>" } };
    expect(found(gpt2, named, { ...none, eos: 7 })).toEqual([]);
    expect(found(gpt2, named, { ...none, eos: 50_256 })).toEqual(["warning END_OF_TEXT_DIFFERS"]);
  });

  it("wants BERT's special tokens, and the mask only of a model that predicts masked words", () => {
    const { "[MASK]": _, ...withoutMask } = bertTokenizer.special;
    expect(found(bert, { ...bertTokenizer, special: withoutMask })).toEqual(["error SPECIAL_TOKENS_MISSING"]);
    expect(found({ ...bert, head: "span-qa" }, { ...bertTokenizer, special: withoutMask })).toEqual([]);
  });

  it("tells kinds apart by family", () => {
    expect(found(gpt2, { ...bertTokenizer, vocabSize: 50_257, highestId: 50_256 })).toContain(
      "warning TOKENIZER_KIND_UNUSUAL",
    );
    expect(found(gpt2, { ...gpt2Tokenizer, kind: "other" })).toEqual(["error TOKENIZER_KIND_UNKNOWN"]);
  });

  it("compares lengths, and lower-casing with the vocabulary", () => {
    expect(found(gpt2, { ...gpt2Tokenizer, maxLength: 2048 })).toEqual(["warning LENGTH_BEYOND_POSITIONS"]);
    expect(found(gpt2, { ...gpt2Tokenizer, maxLength: 512 })).toEqual(["note LENGTH_BELOW_POSITIONS"]);
    expect(found(bert, { ...bertTokenizer, hasCapitals: true })).toEqual(["warning CASE_LOST"]);
    expect(found(bert, { ...bertTokenizer, lowerCases: false })).toEqual(["warning CASE_UNKNOWN_TO_VOCABULARY"]);
  });

  it("says every finding in one sentence", () => {
    const findings = [
      ...lintTokenizer(
        { ...gpt2, vocabSize: 100 },
        { bos: 200, eos: 3, pad: null },
        { ...gpt2Tokenizer, maxLength: 9 },
      ),
      ...lintTokenizer(bert, { ...none, pad: 9 }, { ...gpt2Tokenizer, maxLength: 9000 }),
      ...lintTokenizer(bert, { ...none, pad: 9 }, { ...bertTokenizer, hasCapitals: true, special: {} }),
    ];
    expect(findings.length).toBeGreaterThan(8);
    for (const { message } of findings) {
      expect(message).toMatch(/^[A-Z].*\.$/);
      expect(message.slice(0, -1)).not.toMatch(/\. [A-Z]/);
    }
  });

  it("names the added tokens that a model made before them has no rows for", () => {
    const special = { "<|endoftext|>": 50_256 };
    const added = {
      ...gpt2Tokenizer,
      vocabSize: 50_259,
      highestId: 50_258,
      special,
      added: { "<drug>": 50_257, "<gene>": 50_258 },
    };
    const findings = lintTokenizer(gpt2, none, added);
    expect(findings.map(({ code }) => code)).toContain("ADDED_TOKENS_BEYOND_MODEL");
    expect(findings.find(({ code }) => code === "ADDED_TOKENS_BEYOND_MODEL")?.message).toMatch(
      /<drug> \(50 257\), <gene>/,
    );
    expect(found({ ...gpt2, vocabSize: 50_259 }, added)).toEqual([]);
    // Where its own tokens are too many as well, that is what is said.
    expect(found({ ...gpt2, vocabSize: 28_896 }, added)).toEqual(["error VOCABULARY_TOO_LARGE_FOR_MODEL"]);
  });

  it("knows merges of another vocabulary, and an end of text that is not the last token", () => {
    expect(found(gpt2, { ...gpt2Tokenizer, mergesWithoutToken: 3 })).toEqual(["error MERGES_WITHOUT_TOKENS"]);
    expect(found(gpt2, { ...gpt2Tokenizer, special: { "<|endoftext|>": 0 } })).toEqual(["note END_OF_TEXT_NOT_LAST"]);
  });

  it("compares the ids of [CLS], [SEP] and [MASK] where config.json names them", () => {
    const ids = { ...none, pad: 0, cls: 101, sep: 102, mask: 103 };
    expect(lintTokenizer(bert, ids, bertTokenizer)).toEqual([]);
    expect(lintTokenizer(bert, { ...ids, mask: 4 }, bertTokenizer).map(({ code }) => code)).toEqual([
      "SPECIAL_ID_DIFFERS",
    ]);
    expect(lintTokenizer(bert, { ...ids, cls: 40_000 }, bertTokenizer).map(({ code }) => code)).toContain(
      "SPECIAL_ID_OUT_OF_RANGE",
    );
  });

  it("compares a tokenizer with the one that the model came with", () => {
    const cased = { ...bertTokenizer, lowerCases: false };
    expect(ownFindings(bertTokenizer, bertTokenizer)).toEqual([]);
    expect(ownFindings(bertTokenizer, cased).map(({ code }) => code)).toEqual(["CASE_DIFFERS_FROM_OWN"]);
    expect(ownFindings(bertTokenizer, gpt2Tokenizer).map(({ code }) => code)).toEqual(["KIND_DIFFERS_FROM_OWN"]);
    expect(ownFindings(bertTokenizer, { ...bertTokenizer, vocabSize: 50_000 }).map(({ code }) => code)).toEqual([
      "SIZE_DIFFERS_FROM_OWN",
    ]);
  });
});
