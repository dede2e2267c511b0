// Encodings of ours beside those of Hugging Face's Rust library, whose offsets count characters where ours count bytes.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { Tokenizer as HuggingFaceTokenizer } from "@anush008/tokenizers";
import { expect } from "vitest";
import type { NativeEncodeOptions, NativeEncoding, NativeTokenizer } from "#core/engine/addon";

export const testData =
  process.env["ASSAY_TEST_DATA"] ?? path.resolve(import.meta.dirname, "..", "..", "..", "shared", "data");

export async function textsOf(file: string): Promise<readonly string[]> {
  const lines = (await readFile(file, "utf8")).trim().split("\n");
  return lines.map((line) => (JSON.parse(line) as { readonly text: string }).text);
}

/** All abstracts of the shared data: some 16,700. */
export async function abstracts(): Promise<readonly string[]> {
  const folder = path.join(testData, "pubmed");
  const train = gunzipSync(await readFile(path.join(folder, "train.jsonl.gz"))).toString("utf8");
  const lines = await Promise.all(
    ["valid", "test"].map((part) => readFile(path.join(folder, `${part}.jsonl`), "utf8")),
  );
  return [...lines, train].flatMap((text) =>
    text
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { readonly text: string }).text),
  );
}

export const withoutAbstracts = !existsSync(path.join(testData, "pubmed", "train.jsonl.gz"));

/**
 * Where the JavaScript library differs from the Rust one: `\s` of its regular expressions is JavaScript's, it looks for
 * BERT's ideographs in UTF-16 units, and its marks and letters are as new as the Unicode of Node.
 */
export function isReadAlikeInJavaScript(text: string): boolean {
  return !/[\u0897\u0ece\u1acf-\u1aff]|[\u0085\ufeff\u1c89\u1c8a\u{20000}-\u{2fa1f}]/u.test(text);
}

/**
 * The library's categories of characters are those of Unicode 8, ours of Unicode 14: of punctuation, marks and controls
 * only those that both know are compared.
 */
export function isKnownToUnicode8(text: string): boolean {
  const newer = /[\p{P}\p{M}\p{Cf}\p{Cn}]/u;
  return Array.from(text).every((each) =>
    (each.codePointAt(0) ?? 0) < 0x3100 ? !isNewer(each) : !newer.test(each) || isPlain(each),
  );
}

const isPlain = (character: string) => "🇩🇪\u{e0041}\u{10ffff}\ufeff".includes(character);
const newerThan8: readonly (readonly [number, number])[] = [
  [0x61d, 0x61d],
  [0x7fd, 0x7fd],
  [0x890, 0x890],
  [0x891, 0x891],
  [0x898, 0x89f],
  [0x8ca, 0x8d3],
  [0x8e2, 0x8e2],
  [0x9fd, 0x9fd],
  [0x9fe, 0x9fe],
  [0xa76, 0xa76],
  [0xafa, 0xaff],
  [0xb55, 0xb55],
  [0xc04, 0xc04],
  [0xc3c, 0xc3c],
  [0xc77, 0xc77],
  [0xc84, 0xc84],
  [0xd00, 0xd00],
  [0xd3b, 0xd3b],
  [0xd3c, 0xd3c],
  [0xd81, 0xd81],
  [0xeba, 0xeba],
  [0x166d, 0x166d],
  [0x1734, 0x1734],
  [0x180f, 0x180f],
  [0x1885, 0x1885],
  [0x1886, 0x1886],
  [0x1abf, 0x1ace],
  [0x1b7d, 0x1b7d],
  [0x1b7e, 0x1b7e],
  [0x1df6, 0x1dfb],
  [0x2e43, 0x2e5d],
];
const isNewer = (character: string) => {
  const code = character.codePointAt(0) ?? 0;
  return newerThan8.some(([first, last]) => code >= first && code <= last);
};

/** For each byte of the UTF-8 text the character it is in, and for ends the character that follows. */
function characterOffsets(text: string, encoding: NativeEncoding): readonly (readonly [number, number])[] {
  const bytes = Buffer.from(text);
  const within = new Uint32Array(bytes.length + 1);
  const after = new Uint32Array(bytes.length + 1);
  let character = -1;
  for (const [index, byte] of bytes.entries()) {
    const begins = (byte & 0xc0) !== 0x80;
    character += begins ? 1 : 0;
    within[index] = character;
    after[index] = begins ? character : character + 1;
  }
  within[bytes.length] = character + 1;
  after[bytes.length] = character + 1;
  return Array.from(encoding.starts, (start, index) => [within[start] ?? 0, after[encoding.ends[index] ?? 0] ?? 0]);
}

export type PeerOptions = {
  readonly pair?: string;
  readonly options?: NativeEncodeOptions;
  /** Where the library by design reports something else. */
  readonly skipOffsets?: boolean;
};

export async function expectSameEncoding(
  ours: NativeTokenizer,
  theirs: HuggingFaceTokenizer,
  text: string,
  { pair, options = {}, skipOffsets = false }: PeerOptions = {},
): Promise<void> {
  const mine = ours.encodeText(text, { matchSpecialTokens: true, ...options, ...(pair === undefined ? {} : { pair }) });
  const peer = await theirs.encode(text, pair ?? null);
  const name = JSON.stringify(text.slice(0, 200));
  expect([...mine.ids], name).toEqual(peer.getIds());
  expect([...mine.typeIds], name).toEqual(peer.getTypeIds());
  expect([...mine.attentionMask], name).toEqual(peer.getAttentionMask());
  expect([...mine.specialTokensMask], name).toEqual(peer.getSpecialTokensMask());
  expect(
    Array.from(mine.words, (word) => (word < 0 ? null : word)),
    name,
  ).toEqual(peer.getWordIds().map((word) => word ?? null));
  if (!skipOffsets && pair === undefined) {
    expect(characterOffsets(text, mine), name).toEqual(peer.getOffsets());
  }
  expect(
    mine.overflow.map(({ ids }) => [...ids]),
    name,
  ).toEqual(peer.getOverflowing().map((part) => part.getIds()));
}
