// Moses' rules around BioGPT's BPE, beside what sacremoses itself made: of the cases in test/fixtures/moses, and of all
// abstracts by a hash of their ids.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { NativeTokenizer } from "#core/engine/addon";
import { loadTokenizer } from "#core/tokenizer/load";
import { abstracts, testData, withoutAbstracts } from "../support/hugging-face.ts";
import { temporaryFolder } from "../support/workspace.ts";

type Expected = {
  readonly cases: readonly { readonly text: string; readonly words: readonly string[]; readonly joined: string }[];
  readonly abstracts: number;
  readonly ids: number;
  readonly sha256: string;
};

let expected: Expected;
beforeAll(async () => {
  const file = path.resolve(import.meta.dirname, "..", "fixtures", "moses", "expected.json");
  expected = JSON.parse(await readFile(file, "utf8")) as Expected; // as: make.py writes this form
});

/** Without merges every character is a piece, so that the pieces show the words. */
async function characterTokenizer(texts: readonly string[]): Promise<NativeTokenizer> {
  await using folder = await temporaryFolder();
  const characters = new Set(Array.from(`${texts.join("")}&;#@-abcdefghijklmnopqrstuvwxyz0123456789`));
  const pieces = [...characters]
    .filter((each) => !/[ \n\r]/.test(each))
    .flatMap((each) => [`${each} 1`, `${each}@@ 1`]);
  await writeFile(path.join(folder.path, "dict.txt"), `${pieces.join("\n")}\n`);
  await writeFile(path.join(folder.path, "bpecodes"), "\u0001 \u0001 1\n");
  return loadTokenizer(folder.path);
}

const entities: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&#124;": "|",
  "&#91;": "[",
  "&#93;": "]",
  "@-@": "-",
};

describe("Moses' tokenizer", () => {
  it("makes sacremoses' words of every case, each with its place in the text", async () => {
    const tokenizer = await characterTokenizer(expected.cases.map(({ text }) => text));
    expect(expected.cases.length).toBeGreaterThan(400);
    for (const { text, words } of expected.cases) {
      const { ids, starts, ends, words: numbers } = tokenizer.encodeText(text, { addSpecialTokens: false });
      const bytes = Buffer.from(text);
      const found: { word: string; start: number; end: number }[] = [];
      for (const [index, id] of ids.entries()) {
        const part = tokenizer.piece(id).replace(/(?<=.)@@$/s, "");
        const last = found.at(-1);
        if (last === undefined || numbers[index] !== numbers[index - 1]) {
          found.push({ word: part, start: starts[index] ?? -1, end: ends[index] ?? -1 });
        } else {
          last.word += part;
          last.end = ends[index] ?? -1;
        }
      }
      expect(
        found.map(({ word }) => word),
        JSON.stringify(text),
      ).toEqual(words);
      for (const { word, start, end } of found) {
        const plain = entities[word] ?? word.replaceAll(/&[a-z#0-9]+;/g, (each) => entities[each] ?? each);
        // Within a word only what is no text at all may have gone.
        const place = Array.from(bytes.subarray(start, end).toString())
          .filter((character) => character > "\u001b")
          .join("");
        expect(place === plain || place === "@-@", JSON.stringify([text, word, place])).toBe(true);
      }
    }
  });

  it("puts the words together again as sacremoses does", async () => {
    const tokenizer = await characterTokenizer(expected.cases.map(({ text }) => text));
    for (const { text, joined } of expected.cases) {
      const decoded = Buffer.from(tokenizer.decode(tokenizer.encode(text).ids)).toString();
      expect(decoded, JSON.stringify(text)).toBe(joined);
    }
  });

  it("keeps a byte that is not UTF-8 as a word of its own, in its place", async () => {
    const tokenizer = await characterTokenizer(["ab"]);
    const { ids, starts, ends } = tokenizer.encode(Buffer.from([0x61, 0xff, 0x62, 0xc3]));
    const unknown = tokenizer.idOfPiece("<unk>");
    expect([...ids]).toEqual([tokenizer.idOfPiece("a"), unknown, tokenizer.idOfPiece("b"), unknown]);
    expect([...starts]).toEqual([0, 1, 2, 3]);
    expect([...ends]).toEqual([1, 2, 3, 4]);
  });

  it("takes linear room and ends on a megabyte without a space", async () => {
    const tokenizer = await characterTokenizer(["ACGT"]);
    for (const text of ["ACGT".repeat(1 << 18), ".".repeat(1 << 20), "a-".repeat(1 << 19), "',".repeat(1 << 19)]) {
      const { ids, ends } = tokenizer.encode(text);
      expect(ids.length).toBeLessThanOrEqual(6 * text.length);
      expect(ends.at(-1)).toBe(text.length);
    }
  });

  const biogpt = path.join(testData, "tokenizers", "biogpt");
  it.skipIf(withoutAbstracts || !existsSync(biogpt))(
    "gives all abstracts the ids that sacremoses and the plain algorithm give them, with BioGPT's codes (shared data)",
    async () => {
      const tokenizer = await loadTokenizer(biogpt);
      expect(tokenizer.vocabSize).toBe(42_384);
      const texts = await abstracts();
      const { ids } = await tokenizer.encodeBatch(texts);
      const hash = createHash("sha256").update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
      expect([texts.length, ids.length, hash.digest("hex")]).toEqual([
        expected.abstracts,
        expected.ids,
        expected.sha256,
      ]);
    },
    600_000,
  );
});
