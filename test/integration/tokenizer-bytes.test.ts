// Bytes that are not UTF-8, and words far longer than any text has, against the plain tokenizers of test/support.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NativeTokenizer } from "#core/engine/addon";
import { loadGpt2Tokenizer } from "#core/tokenizer/gpt2";
import { loadTokenizer } from "#core/tokenizer/load";
import { saveTokenizer, trainTokenizer } from "#core/tokenizer/train";
import { pseudoRandom } from "../support/engine.ts";
import {
  type PlainCharacter,
  plainBert,
  plainCharacters,
  plainGpt2Words,
  plainMerge,
  plainNfkc,
  plainUnigram,
} from "../support/plain-tokenizers.ts";

const sample = path.resolve(import.meta.dirname, "..", "..", "resources", "sample", "abstracts.jsonl");
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Overlong, surrogates, beyond U+10FFFF, cut within, stray, and whole characters beside them. */
const damaged = [
  "ff",
  "fe",
  "80",
  "bf",
  "c3",
  "c0af",
  "c1bf",
  "e0809f",
  "e282",
  "eda080",
  "edbfbf",
  "f08080af",
  "f09f98",
  "f4908080",
  "f5808080",
  "c3a9",
  "e4b8ad",
  "f09f9880",
  "efbfbd",
  "cc81",
  "c2a0",
].map((each) => Buffer.from(each, "hex"));
const whole = [" ", " ", "\n", "a", "the", " kinase", "'s", "1", "42", "!", "-", "beta", "\t"].map((each) =>
  Buffer.from(each),
);

function damagedTexts(count: number): readonly Uint8Array[] {
  const random = pseudoRandom(21);
  return Array.from({ length: count }, (_, index) =>
    Buffer.concat(
      Array.from({ length: 1 + (index % 40) }, () => {
        const from = random(2) === 0 ? damaged : whole;
        return random(12) === 0 ? Buffer.from([random(256)]) : (from[random(from.length)] ?? Buffer.alloc(0));
      }),
    ),
  );
}

function longWords(): readonly Uint8Array[] {
  const random = pseudoRandom(22);
  const from = (alphabet: string, length: number) =>
    Array.from({ length }, () => alphabet[random(alphabet.length)] ?? "").join("");
  return [
    from("ACGT", 5000),
    from("abcdefghijklmnopqrstuvwxyz", 11_000),
    "a".repeat(12_001),
    "ab".repeat(2500),
    from("inhbtoreas", 5000),
  ].map(bytesOf);
}

const texts = [...damagedTexts(1200), ...longWords()];
const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(0, 120)).toString("hex");

/** Ends follow one another within the text. */
function expectOrdered(tokenizer: NativeTokenizer, bytes: Uint8Array): void {
  const { starts, ends } = tokenizer.encode(bytes);
  for (const [index, start] of starts.entries()) {
    expect(start).toBeLessThanOrEqual(ends[index] ?? -1);
    expect(start).toBeGreaterThanOrEqual(starts[index - 1] ?? 0);
  }
  expect(ends.at(-1) ?? 0).toBeLessThanOrEqual(bytes.length);
}

let folder: string;
let wordPiece: NativeTokenizer;
let unigram: NativeTokenizer;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-bytes-"));
  const options = { minFrequency: 2, inputs: [sample] };
  for (const [type, vocabSize] of [
    ["wordpiece", 3000],
    ["unigram", 2500],
  ] as const) {
    const { tokenizer } = await trainTokenizer({ ...options, type, vocabSize });
    await saveTokenizer(tokenizer, path.join(folder, type));
  }
  wordPiece = await loadTokenizer(path.join(folder, "wordpiece"));
  unigram = await loadTokenizer(path.join(folder, "unigram"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("bytes that are not UTF-8, and long words", () => {
  it("are merged by byte-level BPE as the plain algorithm does, and every byte comes back", async () => {
    const gpt2 = await loadGpt2Tokenizer();
    const ranks = new Map(
      gpt2
        .merges()
        .map(([left, right], rank) => [
          [left, right].map((id) => Buffer.from(gpt2.tokenBytes(id)).toString("latin1")).join("|"),
          rank,
        ]),
    );
    const known = new Map<string, readonly number[]>();
    for (const bytes of texts) {
      const expected = plainGpt2Words(bytes).flatMap((word) => {
        const key = Buffer.from(word).toString("latin1");
        const ids =
          known.get(key) ??
          plainMerge(Array.from(key), (left, right) => ranks.get(`${left}|${right}`)).map(
            (part) => gpt2.idOfBytes(Buffer.from(part, "latin1")) ?? -1,
          );
        known.set(key, ids);
        return ids;
      });
      const { ids } = gpt2.encode(bytes);
      expect([...ids], hex(bytes)).toEqual(expected);
      expect(Buffer.compare(gpt2.decode(ids), bytes), hex(bytes)).toBe(0);
    }
  }, 300_000);

  it("are dropped, or unknown as a word of more than 100 characters, by WordPiece", () => {
    const pieces = new Map(Array.from({ length: wordPiece.vocabSize }, (_, id) => [wordPiece.piece(id), id]));
    const longer = [...texts, ...[99, 100, 101].map((length) => bytesOf(`a ${"e".repeat(length)} b`))];
    for (const bytes of longer) {
      expect([...wordPiece.encode(bytes).ids], hex(bytes)).toEqual(plainBert(bytes, pieces));
      expectOrdered(wordPiece, bytes);
    }
  });

  it("are unknown to Unigram, which finds the best way to cut what is around them", async () => {
    const json = JSON.parse(await readFile(path.join(folder, "unigram", "tokenizer.json"), "utf8")) as {
      readonly model: { readonly vocab: readonly (readonly [string, number])[] };
    }; // as: we wrote it
    const special = new Set(["<unk>", "<|endoftext|>"]);
    const pieces = new Map(
      json.model.vocab.flatMap(([piece, score], id) => (special.has(piece) ? [] : [[piece, { id, score }] as const])),
    );
    for (const bytes of texts) {
      const expected: number[] = [];
      let word: PlainCharacter[] = [];
      for (const each of [...plainNfkc(plainCharacters(bytes)), { text: " ", bytes: [32] }]) {
        if (!/\p{White_Space}/u.test(each.text)) {
          word.push(each);
        } else if (word.length > 0) {
          expected.push(...plainUnigram([...plainCharacters(bytesOf("\u2581")), ...word], pieces, 0));
          word = [];
        }
      }
      expect([...unigram.encode(bytes).ids], hex(bytes)).toEqual(expected);
      expectOrdered(unigram, bytes);
    }
  }, 300_000);

  it("go through BPE over characters as the plain algorithm does, one unknown token for each byte", async () => {
    const codes = "t h\nth e</w>\na a\naa aa\ni n\nk in\nb e\nt a</w>\nbe ta</w>\nA C\nG T\nAC GT\n";
    const pieces =
      "the a a@@ aa@@ aaaa@@ th@@ t@@ h@@ e@@ e kin@@ in in@@ A@@ C@@ G@@ T@@ ACGT@@ ACGT beta be@@ b@@ 1 ! \u00e9 \u4e2d@@".split(
        " ",
      );
    const directory = await mkdtemp(path.join(folder, "fastbpe-"));
    await writeFile(path.join(directory, "bpecodes"), codes);
    await writeFile(path.join(directory, "dict.txt"), pieces.map((piece) => `${piece} 1\n`).join(""));
    await writeFile(path.join(directory, "tokenizer_config.json"), '{"tokenizer": "space"}');
    const tokenizer = await loadTokenizer(directory);
    const ranks = new Map(
      codes
        .trim()
        .split("\n")
        .map((line, rank) => [line, rank]),
    );
    for (const bytes of texts) {
      const words: string[][] = [[]];
      for (const each of plainCharacters(bytes)) {
        if (/\p{White_Space}/u.test(each.text)) {
          words.push([]);
        } else {
          // A byte that is none is U+FFFD here, which is no piece.
          words.at(-1)?.push(each.text);
        }
      }
      const expected = words.flatMap((word) => {
        const symbols = word.map((text, index) => (index + 1 === word.length ? `${text}</w>` : text));
        return plainMerge(symbols, (left, right) => ranks.get(`${left} ${right}`)).map((symbol) => {
          const piece = symbol.endsWith("</w>") ? symbol.slice(0, -4) : `${symbol}@@`;
          return pieces.indexOf(piece) < 0 ? 3 : pieces.indexOf(piece) + 4;
        });
      });
      expect([...tokenizer.encode(bytes).ids], hex(bytes)).toEqual(expected);
      expectOrdered(tokenizer, bytes);
    }
  }, 300_000);

  it("are made well formed where they come as a string", async () => {
    const gpt2 = await loadGpt2Tokenizer();
    expect([...gpt2.encode("a\ud800b").ids]).toEqual([...gpt2.encode(bytesOf("a\ufffdb")).ids]);
    expect([...gpt2.encode(Buffer.from([0xff])).ids]).not.toEqual([...gpt2.encode("\ufffd").ids]);
  });
});
