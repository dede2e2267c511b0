// Our ids beside those of Hugging Face's JavaScript library, which shares no code with its Rust one: every file it opens
// here but GPT-2's is one that we wrote, so the writers are checked as well as the encoders.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer as RustTokenizer } from "@anush008/tokenizers";
import { Tokenizer as JavaScriptTokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import type { NativeTokenizer } from "#core/engine/addon";
import { loadTokenizer } from "#core/tokenizer/load";
import { saveTokenizer, type TrainableType, trainTokenizer } from "#core/tokenizer/train";
import {
  abstracts,
  isKnownToUnicode8,
  isReadAlikeInJavaScript,
  testData,
  textsOf,
  withoutAbstracts,
} from "../support/hugging-face.ts";
import { nastyFileTexts } from "../support/nasty-file.ts";
import { awkwardTexts, nastyText } from "../support/nasty-text.ts";
import { temporaryFolder } from "../support/workspace.ts";

const sample = path.resolve(import.meta.dirname, "..", "..", "resources", "sample", "abstracts.jsonl");
const vocabularies = path.join(testData, "tokenizers");

const nasty = Array.from({ length: 1000 }, (_, seed) => nastyText(seed, 3 + (seed % 40))).filter(isKnownToUnicode8);
const hard = [
  ...nasty,
  ...nastyFileTexts().filter(isKnownToUnicode8),
  ...awkwardTexts(),
  "private \ue000 use \u{f2202}\u{10fffd}",
  "\u4e2d\u{20000}\u{2a700}",
  "\ufeffmarked",
];

async function readJson(file: string): Promise<object> {
  return JSON.parse(await readFile(file, "utf8")) as object; // as: both files hold an object
}

/** The library wants tokenizer.json and tokenizer_config.json as parsed objects. */
async function inJavaScript(folder: string): Promise<JavaScriptTokenizer> {
  const config = path.join(folder, "tokenizer_config.json");
  return new JavaScriptTokenizer(
    await readJson(path.join(folder, "tokenizer.json")),
    existsSync(config) ? await readJson(config) : {},
  );
}

/** The texts alike in all three; the hard ones, where the JavaScript library has its own ways, as in the Rust one. */
async function expectSameIds(ours: NativeTokenizer, folder: string, texts: readonly string[]): Promise<void> {
  const javaScript = await inJavaScript(folder);
  const rust = RustTokenizer.fromFile(path.join(folder, "tokenizer.json"));
  expect(texts.length).toBeGreaterThan(100);
  expect(hard.filter(isReadAlikeInJavaScript).length).toBeGreaterThan(100);
  for (const [index, text] of [...texts, ...hard].entries()) {
    const name = `text ${index}: ${JSON.stringify(text.slice(0, 200))}`;
    const ids = [...ours.encodeText(text, { matchSpecialTokens: true }).ids];
    if (index < texts.length || isReadAlikeInJavaScript(text)) {
      expect(ids, name).toEqual(javaScript.encode(text).ids);
    }
    if (index >= texts.length) {
      expect(ids, name).toEqual((await rust.encode(text)).getIds());
    }
  }
}

describe("in Hugging Face's JavaScript library", () => {
  const trained: readonly { readonly type: TrainableType; readonly lowercase?: boolean; readonly vocabSize: number }[] =
    [
      { type: "byte-bpe", vocabSize: 2000 },
      { type: "wordpiece", vocabSize: 2000 },
      { type: "wordpiece", lowercase: true, vocabSize: 2000 },
      { type: "unigram", vocabSize: 2000 },
    ];
  for (const options of trained) {
    const name = `${options.lowercase === true ? "lower-case " : ""}${options.type}`;
    it(`a ${name} vocabulary trained on the sample gives the same ids`, async () => {
      await using folder = await temporaryFolder();
      const { tokenizer } = await trainTokenizer({ ...options, minFrequency: 2, inputs: [sample] });
      await saveTokenizer(tokenizer, folder.path);
      expect((await inJavaScript(folder.path)).get_vocab().size).toBe(tokenizer.vocabSize);
      const real = withoutAbstracts ? [] : (await abstracts()).slice(0, 1266);
      await expectSameIds(tokenizer, folder.path, [...(await textsOf(sample)), ...real]);
    }, 300_000);
  }

  const gpt2 = path.join(vocabularies, "gpt2");
  it.skipIf(!existsSync(gpt2))(
    "GPT-2's published file gives the same ids for all abstracts (shared data)",
    async () => {
      const ours = await loadTokenizer(path.join(gpt2, "tokenizer.json"));
      await expectSameIds(ours, gpt2, await abstracts());
    },
    900_000,
  );

  for (const name of ["bert-base-uncased", "bert-base-cased", "covidectra-50k"]) {
    const vocabulary = path.join(vocabularies, name);
    it.skipIf(!existsSync(vocabulary))(
      `${name}'s vocab.txt, written as tokenizer.json, gives the same ids for all abstracts (shared data)`,
      async () => {
        await using folder = await temporaryFolder();
        const ours = await loadTokenizer(vocabulary);
        await saveTokenizer(ours, folder.path);
        await expectSameIds(ours, folder.path, await abstracts());
      },
      900_000,
    );
  }
});
