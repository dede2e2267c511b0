// Our ids beside those of the libraries everyone uses: tiktoken and Hugging Face tokenizers (Rust), on GPT-2's vocabulary,
// on vocabularies of our own, and on text chosen to tell pre-tokenizers apart.
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { BPE, byteLevelPreTokenizer, Tokenizer as HuggingFaceTokenizer } from "@anush008/tokenizers";
import { get_encoding, Tiktoken } from "tiktoken";
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeTokenizer } from "#core/engine/addon";
import { loadGpt2Tokenizer } from "#core/tokenizer/gpt2";
import { abstracts, withoutAbstracts } from "../support/hugging-face.ts";
import { nastyFileTexts } from "../support/nasty-file.ts";
import { awkwardTexts, nastyText } from "../support/nasty-text.ts";
import { temporaryFolder } from "../support/workspace.ts";

const addon = loadAddon();
const root = path.resolve(import.meta.dirname, "..", "..");
const testData = process.env["ASSAY_TEST_DATA"] ?? path.resolve(root, "..", "shared", "data");
const gpt2Files = path.join(testData, "tokenizers", "gpt2");
const ggufVectors = path.join(testData, "gguf", "ggml-vocab-gpt-2.gguf");

const nasty = Array.from({ length: 400 }, (_, seed) => nastyText(seed, 5 + (seed % 60)));
// tiktoken takes quadratic time for these; 10 kB are bearable.
const hard = [
  ...nasty,
  ...nastyFileTexts(),
  ...awkwardTexts(),
  "",
  "<|endoftext|>",
  "Hello world",
  "  leading",
  "trailing  ",
  "a\n\n b",
];

type TokenizerJson = { readonly model: { readonly merges: readonly (string | readonly string[])[] } };

async function readMerges(file: string): Promise<readonly string[]> {
  const json = JSON.parse(await readFile(file, "utf8")) as TokenizerJson; // as: both libraries write this form
  return json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")));
}

async function expectSameAsHuggingFace(ours: NativeTokenizer, file: string, texts: readonly string[]) {
  const theirs = HuggingFaceTokenizer.fromFile(file);
  // It finds special tokens in text, which we by contract do not.
  const ordinary = texts.filter((text) => !text.includes("<|endoftext|>"));
  const encoded = await theirs.encodeBatch([...ordinary], { addSpecialTokens: false });
  for (const [index, text] of ordinary.entries()) {
    expect([...ours.encode(text).ids], JSON.stringify(text.slice(0, 200))).toEqual(encoded[index]?.getIds());
  }
}

describe("GPT-2's tokenizer", () => {
  it("gives tiktoken's ids for nasty text and words of 10 kB, and the bytes back", async () => {
    const ours = await loadGpt2Tokenizer();
    const theirs = get_encoding("gpt2");
    for (const text of hard) {
      const { ids, starts, ends } = ours.encode(text);
      expect([...ids], JSON.stringify(text.slice(0, 200))).toEqual([...theirs.encode_ordinary(text)]);
      expect(Buffer.from(ours.decode(ids)).toString("utf8")).toBe(text);
      expect(ends.at(-1) ?? 0).toBe(Buffer.byteLength(text));
      expect(starts.slice(1)).toEqual(ends.slice(0, -1));
    }
    theirs.free();
  });

  it("gives Hugging Face's ids for the same, from the file we wrote", async () => {
    await using folder = await temporaryFolder();
    const ours = await loadGpt2Tokenizer();
    const file = path.join(folder.path, "tokenizer.json");
    await ours.saveTokenizerJson(file);
    await expectSameAsHuggingFace(ours, file, hard);
  });

  it("takes every code point for the letter, number, space or sign that tiktoken takes it for", () => {
    // "a", "1" and "!" merge with any byte, so that ids show whether a character belongs to the word before it.
    const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]));
    const pairs = ["a", "1", "!"].flatMap((first) => bytes.map((byte) => Buffer.concat([Buffer.from(first), byte])));
    const tokens = [...bytes, ...pairs];
    const pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    const theirs = new Tiktoken(`! 0 ${tokens.map((token) => token.toString("base64")).join(" ")}`, {}, pattern);
    const ours = addon.tokenizerFromRanks(tokens, {});
    for (let first = 0; first < 0x110000; first += 0x400) {
      // Between the last ideographs and the tags of plane 14 nothing is assigned, and beyond those only private use.
      if ((first >= 0x34000 && first < 0xe0000) || first >= 0xe0400) {
        continue;
      }
      let text = "";
      for (let codePoint = first; codePoint < first + 0x400; codePoint += 1) {
        if (codePoint < 0xd800 || codePoint > 0xdfff) {
          const character = String.fromCodePoint(codePoint);
          text += `a${character} 1${character} !${character} `;
        }
      }
      const same = Buffer.compare(
        Buffer.from(ours.encode(text).ids.buffer),
        Buffer.from(theirs.encode_ordinary(text).buffer),
      );
      expect(same, `among U+${first.toString(16)} and the 1023 after it`).toBe(0);
    }
    theirs.free();
  });

  it.skipIf(withoutAbstracts)(
    "gives tiktoken's ids for all abstracts, and those of Hugging Face's Rust library for some (shared data)",
    async () => {
      await using folder = await temporaryFolder();
      const texts = await abstracts();
      const ours = await loadGpt2Tokenizer();
      const theirs = get_encoding("gpt2");
      const encoded = await ours.encodeBatch(texts);
      for (const [index, text] of texts.entries()) {
        const own = encoded.ids.subarray(encoded.offsets[index], encoded.offsets[index + 1]);
        expect([...own], `document ${index}`).toEqual([...theirs.encode_ordinary(text)]);
      }
      theirs.free();
      const file = path.join(folder.path, "tokenizer.json");
      await ours.saveTokenizerJson(file);
      await expectSameAsHuggingFace(ours, file, texts.slice(0, 1500));
    },
    600_000,
  );

  it.skipIf(!existsSync(gpt2Files))(
    "is the same from ranks, tokenizer.json, and vocab.json with merges.txt (shared data)",
    async () => {
      const fromRanks = await loadGpt2Tokenizer();
      const fromJson = addon.loadTokenizer(path.join(gpt2Files, "tokenizer.json"));
      const fromPair = addon.loadVocabAndMerges(path.join(gpt2Files, "vocab.json"), path.join(gpt2Files, "merges.txt"));
      const merges = JSON.stringify(fromRanks.merges());
      for (const other of [fromJson, fromPair]) {
        expect([other.vocabSize, other.endOfTextId]).toEqual([50_257, 50_256]);
        expect(JSON.stringify(other.merges()) === merges).toBe(true);
        for (const id of [0, 255, 256, 31_373, 50_255, 50_256]) {
          expect(other.tokenBytes(id)).toEqual(fromRanks.tokenBytes(id));
        }
      }
    },
  );

  it.skipIf(!existsSync(`${ggufVectors}.inp`))("passes llama.cpp's vectors (shared data)", async () => {
    const ours = await loadGpt2Tokenizer();
    const inputs = (await readFile(`${ggufVectors}.inp`, "utf8")).split("\n__ggml_vocab_test__\n");
    const outputs = (await readFile(`${ggufVectors}.out`, "utf8")).split("\n").map((line) => line.trim());
    expect(inputs.length).toBeGreaterThan(20);
    expect(outputs).toHaveLength(inputs.length);
    for (const [index, input] of inputs.entries()) {
      expect([...ours.encode(input).ids].join(" "), JSON.stringify(input)).toBe(outputs[index]);
    }
  });
});

describe("a tokenizer of our own", () => {
  const lines = [
    ...nasty.map((text) => text.replaceAll(/[\n\r]/g, " ")),
    ...Array.from({ length: 40 }, () => "the treated patients' kinase inhibitors don't inhibit IL-2"),
  ].map((text) => `${text}\n`);

  it("has the merges of Hugging Face's trainer, in the same order", async () => {
    await using folder = await temporaryFolder();
    const text = path.join(folder.path, "text.txt");
    await writeFile(text, lines.join(""));
    const theirs = new HuggingFaceTokenizer(BPE.empty());
    theirs.setPreTokenizer(byteLevelPreTokenizer(false, true));
    theirs.train([text]);
    const theirFile = path.join(folder.path, "theirs.json");
    theirs.save(theirFile);
    const wanted = await readMerges(theirFile);
    const trainer = addon.createTokenizerTrainer({ threads: 2, maxWordBytes: 65_535 });
    await trainer.add(lines);
    const ours = await trainer.train(
      { vocabSize: 256 + wanted.length, minFrequency: 1, firstTokens: [], lastTokens: [], threads: 2 },
      () => undefined,
    );
    const ourFile = path.join(folder.path, "ours.json");
    await ours.saveTokenizerJson(ourFile);
    expect(await readMerges(ourFile)).toEqual(wanted);
  });

  it("loads in Hugging Face's library and encodes the same there", async () => {
    await using folder = await temporaryFolder();
    const trainer = addon.createTokenizerTrainer({ threads: 2 });
    await trainer.add(lines);
    const ours = await trainer.train(
      { vocabSize: 900, minFrequency: 2, firstTokens: [], lastTokens: ["<|endoftext|>"], threads: 2 },
      () => undefined,
    );
    const file = path.join(folder.path, "tokenizer.json");
    await ours.saveTokenizerJson(file);
    const theirs = HuggingFaceTokenizer.fromFile(file);
    expect([theirs.getVocabSize(true), theirs.tokenToId("<|endoftext|>")]).toEqual([ours.vocabSize, ours.endOfTextId]);
    await expectSameAsHuggingFace(ours, file, hard);
    const { ids } = ours.encode("don't inhibit 漢字");
    expect(await theirs.decode([...ids], false)).toBe(Buffer.from(ours.decode(ids)).toString("utf8"));
  });
});
