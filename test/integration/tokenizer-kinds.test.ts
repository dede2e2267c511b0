// Tokenizers of every kind beside the libraries they come from: Hugging Face's (Rust), sentencepiece, llama.cpp's vectors,
// and for BPE over characters a reference written out plainly here.
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@anush008/tokenizers";
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeTokenizer } from "#core/engine/addon";
import type { GgufValue } from "#core/models/gguf/reader";
import { tokenizerJsonOfGgufVocabulary } from "#core/models/gguf/vocabulary";
import { convertTokenizer } from "#core/tokenizer/convert";
import { loadTokenizer } from "#core/tokenizer/load";
import { expectSameEncoding, isKnownToUnicode8, testData, textsOf } from "../support/hugging-face.ts";
import { nastyFileTexts } from "../support/nasty-file.ts";
import { awkwardTexts, nastyText } from "../support/nasty-text.ts";
import { temporaryFolder } from "../support/workspace.ts";

const addon = loadAddon();
const fixtures = path.resolve(import.meta.dirname, "..", "fixtures", "sentencepiece");
const vocabularies = path.join(testData, "tokenizers");
const nasty = Array.from({ length: 1500 }, (_, seed) => nastyText(seed, 5 + (seed % 60))).filter(isKnownToUnicode8);
const hard = [
  ...nasty,
  ...nastyFileTexts().filter(isKnownToUnicode8),
  ...awkwardTexts(),
  "",
  " ",
  "Hello World!",
  "a\u0000b",
  "İstanbul ıßﬁ",
  "the [MASK] of [CLS]",
];

/** The same tokenizer in Hugging Face's library, by way of the file we write. */
async function inHuggingFace(ours: NativeTokenizer): Promise<HuggingFaceTokenizer> {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, "tokenizer.json");
  await ours.saveTokenizerJson(file);
  return HuggingFaceTokenizer.fromFile(file);
}

const smallBert = [
  ..."[PAD] [UNK] [CLS] [SEP] [MASK] the of kin ##ase ##ases inhibit ##or ##s a b β ##β - 1 ##2 istanbul ı ##ss e é".split(
    " ",
  ),
  ..."' s t don ! . , 中 日 本 word ##word fi ß ##ß il".split(" "),
];

async function aBertFolder(folder: string, settings: Readonly<Record<string, unknown>> = {}): Promise<string> {
  await writeFile(path.join(folder, "vocab.txt"), `${smallBert.join("\n")}\n`);
  await writeFile(path.join(folder, "tokenizer_config.json"), JSON.stringify(settings));
  return folder;
}

describe("WordPiece", () => {
  it("gives Hugging Face's ids, types, masks, words and offsets for nasty text and words of 10 kB", async () => {
    await using folder = await temporaryFolder();
    for (const settings of [{}, { do_lower_case: false }, { do_lower_case: true, strip_accents: false }]) {
      const ours = await loadTokenizer(await aBertFolder(folder.path, settings));
      const theirs = await inHuggingFace(ours);
      expect(ours.kind).toBe("wordpiece");
      expect(hard.length).toBeGreaterThan(200);
      for (const text of hard) {
        await expectSameEncoding(ours, theirs, text);
        const { ids } = ours.encodeText(text);
        expect(Buffer.from(ours.decode(ids, true)).toString()).toBe(await theirs.decode([...ids], true));
      }
    }
  });

  it("cuts, overlaps and pads one text or two as Hugging Face does", async () => {
    await using folder = await temporaryFolder();
    const ours = await loadTokenizer(await aBertFolder(folder.path));
    await ours.saveTokenizerJson(path.join(folder.path, "tokenizer.json"));
    const json = JSON.parse(await readFile(path.join(folder.path, "tokenizer.json"), "utf8")) as Record<
      string,
      unknown
    >;
    const long = "the kinases of the inhibitors - don't inhibit the kinase 12 β !";
    const names = { longest_first: "LongestFirst", only_first: "OnlyFirst", only_second: "OnlySecond" } as const;
    for (const strategy of ["longest_first", "only_first", "only_second"] as const) {
      for (const side of ["right", "left"] as const) {
        for (const [maxLength, stride] of [
          [24, 0],
          [22, 3],
          [26, 2],
        ] as const) {
          const direction = side === "right" ? "Right" : "Left";
          const theirs = HuggingFaceTokenizer.fromString(
            JSON.stringify({
              ...json,
              truncation: { direction, max_length: maxLength, strategy: names[strategy], stride },
              padding: {
                strategy: { Fixed: 40 },
                direction,
                pad_to_multiple_of: 8,
                pad_id: 0,
                pad_type_id: 0,
                pad_token: "[PAD]",
              },
            }),
          );
          const options = {
            truncation: { maxLength, stride, strategy, side },
            padding: { padId: 0, length: 40, multipleOf: 8, side },
          };
          const [first, second] = strategy === "only_second" ? ["the kinase", long] : [long, "of a word"];
          await expectSameEncoding(ours, theirs, first, { pair: second, options });
          if (strategy !== "only_second") {
            await expectSameEncoding(ours, theirs, `${long} ${long}`, { options });
          }
        }
      }
    }
  });

  it("gives the same batch on any number of threads", async () => {
    await using folder = await temporaryFolder();
    const ours = await loadTokenizer(await aBertFolder(folder.path));
    const short = hard.filter((text) => text.length < 500);
    const texts = [...short, ...short, ...short];
    const padding = { padId: 0 };
    const written = async (threads: number): Promise<string> =>
      JSON.stringify(
        (await ours.encodeTexts(texts, { threads, padding })).map(({ ids, starts, words }) => [
          ids.join(),
          starts.join(),
          words.join(),
        ]),
      );
    expect((await written(7)) === (await written(1))).toBe(true);
    const padded = await ours.encodeTexts(texts, { padding });
    expect(new Set(padded.map(({ ids }) => ids.length)).size).toBe(1);
    const one = await ours.encodeBatch(texts, { threads: 1 });
    const five = await ours.encodeBatch(texts, { threads: 5 });
    expect(five.ids.join() === one.ids.join() && five.offsets.join() === one.offsets.join()).toBe(true);
    expect(one.ids.join() === texts.flatMap((text) => [...ours.encode(text).ids]).join()).toBe(true);
  });

  it("finds a special token in text only where that is asked for", async () => {
    await using folder = await temporaryFolder();
    const ours = await loadTokenizer(await aBertFolder(folder.path));
    const mask = ours.roleId("mask") ?? -1;
    expect([...ours.encodeText("the [MASK]").ids]).not.toContain(mask);
    expect([...ours.encodeText("the [MASK]", { matchSpecialTokens: true }).ids]).toContain(mask);
    expect(ours.wordStarts()[ours.idOfPiece("##ase") ?? -1]).toBe(0);
    expect(ours.wordStarts()[ours.idOfPiece("kin") ?? -1]).toBe(1);
  });

  for (const name of ["bert-base-uncased", "bert-base-cased", "covidectra-50k"]) {
    const vocabulary = path.join(vocabularies, name);
    it.skipIf(!existsSync(vocabulary))(`encodes all abstracts as Hugging Face with ${name} (shared data)`, async () => {
      const ours = await loadTokenizer(vocabulary);
      const theirs = await inHuggingFace(ours);
      for (const part of ["valid", "test"]) {
        for (const text of await textsOf(path.join(testData, "pubmed", `${part}.jsonl`))) {
          await expectSameEncoding(ours, theirs, text);
        }
      }
      for (const text of hard) {
        await expectSameEncoding(ours, theirs, text);
      }
    });
  }
});

// The shared .gguf beside the vectors lost bytes to U+FFFD and cannot be read; BERT's and GPT-2's vocabularies are here
// from other files.
describe("llama.cpp's vectors", () => {
  const vectors = path.join(testData, "gguf", "ggml-vocab-bert-bge.gguf");
  const vocabulary = path.join(vocabularies, "bert-base-uncased");
  it.skipIf(!existsSync(`${vectors}.inp`))("of BERT's vocabulary pass (shared data)", async () => {
    const ours = await loadTokenizer(vocabulary);
    const inputs = (await readFile(`${vectors}.inp`, "utf8")).split("\n__ggml_vocab_test__\n");
    const outputs = (await readFile(`${vectors}.out`, "utf8")).split("\n").map((line) => line.trim());
    expect(inputs.length).toBeGreaterThan(20);
    expect(outputs).toHaveLength(inputs.length);
    for (const [index, input] of inputs.entries()) {
      expect([...ours.encode(input).ids].join(" "), JSON.stringify(input)).toBe(outputs[index]);
    }
  });

  it("are for vocabularies that a GGUF holds: BERT's is turned back into WordPiece", async () => {
    await using folder = await temporaryFolder();
    const ours = await loadTokenizer(await aBertFolder(folder.path));
    const tokens = smallBert.map((piece) =>
      piece.startsWith("##") ? piece.slice(2) : piece.startsWith("[") ? piece : `\u2581${piece}`,
    );
    const header = {
      file: "small.gguf",
      version: 3,
      tensors: [],
      metadata: new Map<string, GgufValue>([
        ["tokenizer.ggml.model", "bert"],
        ["tokenizer.ggml.tokens", tokens],
      ]),
    };
    const json = JSON.stringify(tokenizerJsonOfGgufVocabulary(header));
    const theirs = addon.tokenizerFromJson(json, header.file);
    for (const text of hard) {
      expect(theirs.encodeText(text).ids).toEqual(ours.encodeText(text).ids);
    }
  });
});

type Expected = Readonly<Record<string, readonly { text: string; ids: readonly number[] }[]>>;

describe("SentencePiece models", () => {
  for (const name of ["unigram", "unigram-bytes", "unigram-plain", "bpe-bytes"]) {
    it(`of the kind ${name} give sentencepiece's own ids, also after a way through tokenizer.json`, async () => {
      const expected =
        (JSON.parse(await readFile(path.join(fixtures, "expected.json"), "utf8")) as Expected)[name] ?? [];
      const ours = await loadTokenizer(path.join(fixtures, `${name}.model`));
      await using folder = await temporaryFolder();
      await convertTokenizer(ours, "tokenizer.json", folder.path);
      const again = await loadTokenizer(folder.path);
      expect(expected.length).toBeGreaterThan(20);
      for (const { text, ids } of expected) {
        const found = ours.encode(text);
        expect([...found.ids], JSON.stringify(text.slice(0, 100))).toEqual(ids);
        expect([...again.encode(text).ids], JSON.stringify(text.slice(0, 100))).toEqual(ids);
        // Offsets lie in the text, in order.
        const bytes = Buffer.byteLength(text);
        for (const [index, start] of found.starts.entries()) {
          const end = found.ends[index] ?? -1;
          expect(start <= end && end <= bytes && start >= (found.starts[index - 1] ?? 0)).toBe(true);
        }
      }
    });
  }

  it("are read by Hugging Face from the file we write", async () => {
    const ours = await loadTokenizer(path.join(fixtures, "unigram-plain.model"));
    const theirs = await inHuggingFace(ours);
    for (const text of hard.filter((each) => !each.includes("\u0000"))) {
      await expectSameEncoding(ours, theirs, text);
    }
  });

  it("that are cut or altered are refused or read, never more than that", async () => {
    await using folder = await temporaryFolder();
    const whole = await readFile(path.join(fixtures, "unigram-plain.model"));
    const file = path.join(folder.path, "cut.model");
    for (let length = 0; length < whole.length; length += 97) {
      const bytes = Buffer.from(whole.subarray(0, length));
      if (length > 0) {
        bytes[Math.floor(length / 2)] = 0xff;
      }
      await writeFile(file, bytes);
      try {
        addon.loadSentencePiece(file).encode("Hello");
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(TOKENIZER_INVALID|NOT_SUPPORTED)$/) });
      }
    }
  });
});

/** fastBPE as its paper has it, the slow way: the best pair of all, everywhere it stands, until none is left. */
function naiveFastBpe(word: string, ranks: ReadonlyMap<string, number>): readonly string[] {
  let symbols = Array.from(word).map((character, index, all) =>
    index + 1 === all.length ? `${character}</w>` : character,
  );
  for (;;) {
    let best = Number.POSITIVE_INFINITY;
    for (let index = 0; index + 1 < symbols.length; index += 1) {
      best = Math.min(best, ranks.get(`${symbols[index]} ${symbols[index + 1]}`) ?? Number.POSITIVE_INFINITY);
    }
    if (best === Number.POSITIVE_INFINITY) {
      return symbols.map((symbol) => (symbol.endsWith("</w>") ? symbol.slice(0, -4) : `${symbol}@@`));
    }
    const merged: string[] = [];
    for (let index = 0; index < symbols.length; index += 1) {
      if (ranks.get(`${symbols[index]} ${symbols[index + 1]}`) === best) {
        merged.push(`${symbols[index]}${symbols[index + 1]}`);
        index += 1;
      } else {
        merged.push(symbols[index] ?? "");
      }
    }
    symbols = merged;
  }
}

function expectFastBpe(ours: NativeTokenizer, codes: string, dictionary: string, texts: readonly string[]): void {
  const ranks = new Map(
    codes
      .trim()
      .split("\n")
      .map((line, rank) => [line.split(" ").slice(0, 2).join(" "), rank]),
  );
  const ids = new Map(
    dictionary
      .trim()
      .split("\n")
      .map((line, index) => [line.slice(0, line.lastIndexOf(" ")), index + 4]),
  );
  const known = new Map<string, readonly number[]>();
  for (const text of texts) {
    const words = text.split(/[\p{White_Space}]+/u).filter((word) => word !== "");
    const expected = words.flatMap((word) => {
      const found = known.get(word) ?? naiveFastBpe(word, ranks).map((piece) => ids.get(piece) ?? 3);
      known.set(word, found);
      return found;
    });
    expect([...ours.encode(text).ids], JSON.stringify(text.slice(0, 100))).toEqual(expected);
  }
}

describe("fastBPE", () => {
  it("merges as the plain algorithm does", async () => {
    await using folder = await temporaryFolder();
    const codes = "t h 9\nth e</w> 8\na a 7\naa aa 6\ni n 5\nk in 4\na n</w> 3\n";
    const dictionary = "the 9\nkin@@ 8\naaaa@@ 7\na 6\nan 5\nβ 4\nin 3\n";
    await writeFile(path.join(folder.path, "bpecodes"), codes);
    await writeFile(path.join(folder.path, "dict.txt"), dictionary);
    await writeFile(path.join(folder.path, "tokenizer_config.json"), '{"tokenizer": "space"}');
    const ours = await loadTokenizer(folder.path);
    expect(ours.kind).toBe("character-bpe");
    const texts = ["the kinan an in aaaaaaa β", "a".repeat(1001), " the  the\tthe\n", "kinkinkin", "zzz the"];
    expectFastBpe(ours, codes, dictionary, texts);
    expect(Buffer.from(ours.decode(ours.encode("the kinan").ids)).toString()).toBe("the kinan");
    expect([...ours.encodeText("the").ids]).toEqual([2, 4]);
    await expect(convertTokenizer(ours, "tokenizer.json", folder.path)).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
    });
  });

  const biogpt = path.join(vocabularies, "biogpt");
  it.skipIf(!existsSync(biogpt))(
    "encodes abstracts as the plain algorithm does where white space alone cuts words, with BioGPT's codes (shared data)",
    async () => {
      const [codes, dictionary] = await Promise.all(
        ["bpecodes", "dict.txt"].map((name) => readFile(path.join(biogpt, name), "utf8")),
      );
      const ours = addon.loadFastBpe(path.join(biogpt, "bpecodes"), path.join(biogpt, "dict.txt"), { moses: false });
      expect(ours.vocabSize).toBe(42_384);
      const texts = await textsOf(path.join(testData, "pubmed", "valid.jsonl"));
      expectFastBpe(ours, codes ?? "", dictionary ?? "", [...texts, ...nasty]);
    },
  );
});

describe("convert", () => {
  it("writes vocab.txt that reads back the same, and refuses what a format cannot say", async () => {
    await using folder = await temporaryFolder();
    const ours = await loadTokenizer(await aBertFolder(folder.path, { do_lower_case: false }));
    const out = path.join(folder.path, "out");
    await convertTokenizer(ours, "vocab.txt", out);
    const again = await loadTokenizer(out);
    expect(again.lowercases).toBe(false);
    expect(again.encodeText("The kinases").ids).toEqual(ours.encodeText("The kinases").ids);
    await expect(convertTokenizer(ours, "vocab+merges", out)).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
    const unigram = await loadTokenizer(path.join(fixtures, "unigram-plain.model"));
    await expect(convertTokenizer(unigram, "vocab.txt", out)).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  });
});
