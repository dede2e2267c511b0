// The ways of cutting and normalizing that published vocabularies use, beside tiktoken and both of Hugging Face's
// libraries: cl100k and o200k with tiktoken's own ranks, and each normalization form before GPT-2's vocabulary.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { Tokenizer as RustTokenizer } from "@anush008/tokenizers";
import { Tokenizer as JavaScriptTokenizer } from "@huggingface/tokenizers";
import { get_encoding } from "tiktoken";
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeTokenizer } from "#core/engine/addon";
import { loadGpt2Tokenizer } from "#core/tokenizer/gpt2";
import { abstracts, isKnownToUnicode8, isReadAlikeInJavaScript, withoutAbstracts } from "../support/hugging-face.ts";
import { nastyFile, nastyFileContent, nastyFileTexts } from "../support/nasty-file.ts";
import { awkwardTexts, nastyText } from "../support/nasty-text.ts";
import { temporaryFolder } from "../support/workspace.ts";

const addon = loadAddon();
const random = Array.from({ length: 600 }, (_, seed) => nastyText(seed + 7000, 3 + (seed % 50)));
const hard = [...nastyFileTexts(), ...awkwardTexts(), ...random];

type Json = Record<string, unknown>;

/** The tokenizer as tokenizer.json, some of its fields put in place of ours. */
async function jsonOf(tokenizer: NativeTokenizer, fields: Json): Promise<Json> {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, "tokenizer.json");
  await tokenizer.saveTokenizerJson(file);
  return { ...(JSON.parse(await readFile(file, "utf8")) as Json), ...fields }; // as: we wrote an object
}

type TiktokenFile = { readonly pat_str: string; readonly bpe_ranks: string };

async function tiktokenJson(name: string): Promise<Json> {
  const file = createRequire(import.meta.url).resolve(`tiktoken/encoders/${name}.json`);
  const { pat_str: pattern, bpe_ranks: ranks } = JSON.parse(await readFile(file, "utf8")) as TiktokenFile; // as: the package's own
  const tokens = ranks
    .split("\n")
    .flatMap((line) => line.split(" ").slice(2))
    .map((token) => Buffer.from(token, "base64"));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
  return jsonOf(addon.tokenizerFromRanks(tokens, {}), {
    pre_tokenizer: { type: "Sequence", pretokenizers: [split, byteLevel] },
  });
}

/** Ours, Hugging Face's Rust library and its JavaScript one, from one file. */
async function threeOf(json: Json): Promise<{
  readonly ours: NativeTokenizer;
  readonly rust: RustTokenizer;
  readonly javaScript: JavaScriptTokenizer;
}> {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, "tokenizer.json");
  await writeFile(file, JSON.stringify(json));
  return {
    ours: addon.loadTokenizer(file),
    rust: RustTokenizer.fromFile(file),
    javaScript: new JavaScriptTokenizer(json, {}),
  };
}

function named(text: string, index: number): string {
  return `text ${index}: ${JSON.stringify(text.slice(0, 200))}`;
}

describe("the file of nasty texts", () => {
  it("is what its generator makes, and holds what it should", async () => {
    expect((await readFile(nastyFile, "utf8")) === nastyFileContent()).toBe(true);
    const all = nastyFileTexts().join("");
    for (const part of [
      /\u200d/,
      /[\u{1f3fb}-\u{1f3ff}]/u,
      /\u0345\u0301/,
      /\u0301\u0345/,
      /\0/,
      /\r\n/,
      /\u3000/,
      /'Ll/,
      /\u202e/,
    ]) {
      expect(all).toMatch(part);
    }
    expect(Math.max(...nastyFileTexts().flatMap((text) => text.split(/\s/).map((word) => word.length)))).toBe(10_000);
  });
});

for (const name of ["cl100k_base", "o200k_base"] as const) {
  describe(`${name} from a tokenizer.json`, () => {
    it("gives tiktoken's ids for the nasty texts, and the bytes back", async () => {
      const ours = addon.tokenizerFromJson(JSON.stringify(await tiktokenJson(name)), name);
      const theirs = get_encoding(name);
      for (const [index, text] of hard.entries()) {
        const { ids } = ours.encode(text);
        expect([...ids], named(text, index)).toEqual([...theirs.encode_ordinary(text)]);
        expect(Buffer.from(ours.decode(ids)).toString()).toBe(text);
      }
      theirs.free();
    });

    it("gives the ids of both of Hugging Face's libraries for the same", async () => {
      const { ours, rust, javaScript } = await threeOf(await tiktokenJson(name));
      for (const [index, text] of hard.entries()) {
        const ids = [...ours.encode(text).ids];
        expect(ids, named(text, index)).toEqual((await rust.encode(text)).getIds());
        if (isReadAlikeInJavaScript(text)) {
          expect(ids, named(text, index)).toEqual(javaScript.encode(text).ids);
        }
      }
    });

    it.skipIf(withoutAbstracts)(
      "gives tiktoken's ids for all abstracts (shared data)",
      async () => {
        const ours = addon.tokenizerFromJson(JSON.stringify(await tiktokenJson(name)), name);
        const theirs = get_encoding(name);
        const texts = await abstracts();
        const encoded = await ours.encodeBatch(texts);
        for (const [index, text] of texts.entries()) {
          const own = encoded.ids.subarray(encoded.offsets[index], encoded.offsets[index + 1]);
          expect(
            Buffer.compare(Buffer.from(own.slice().buffer), Buffer.from(theirs.encode_ordinary(text).slice().buffer)),
            named(text, index),
          ).toBe(0);
        }
        theirs.free();
      },
      600_000,
    );
  });
}

describe("normalization forms before GPT-2's vocabulary", () => {
  for (const form of ["NFC", "NFD", "NFKC", "NFKD"]) {
    it(`${form} gives the ids of both of Hugging Face's libraries for the nasty texts`, async () => {
      const { ours, rust, javaScript } = await threeOf(
        await jsonOf(await loadGpt2Tokenizer(), { normalizer: { type: form } }),
      );
      let compared = 0;
      for (const [index, text] of hard.filter(isKnownToUnicode8).entries()) {
        const ids = [...ours.encode(text).ids];
        expect(ids, named(text, index)).toEqual((await rust.encode(text)).getIds());
        if (isReadAlikeInJavaScript(text)) {
          expect(ids, named(text, index)).toEqual(javaScript.encode(text).ids);
          compared += 1;
        }
      }
      expect(compared).toBeGreaterThan(100);
    });
  }
});
