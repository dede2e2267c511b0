// Encodings of ours beside those of Hugging Face's Rust library, whose offsets count characters where ours count bytes.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@anush008/tokenizers";
import { expect } from "vitest";
import type { NativeEncodeOptions, NativeEncoding, NativeTokenizer } from "#core/engine/addon";

export const testData =
  process.env["ASSAY_TEST_DATA"] ?? path.resolve(import.meta.dirname, "..", "..", "..", "shared", "data");

export async function textsOf(file: string): Promise<readonly string[]> {
  const lines = (await readFile(file, "utf8")).trim().split("\n");
  return lines.map((line) => (JSON.parse(line) as { readonly text: string }).text);
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
const newerThan8 =
  /[\u061d\u07fd\u0890\u0891\u0898-\u089f\u08ca-\u08d3\u08e2\u09fd\u09fe\u0a76\u0afa-\u0aff\u0b55\u0c04\u0c3c\u0c77\u0c84\u0d00\u0d3b\u0d3c\u0d81\u0eba\u166d\u1734\u180f\u1885\u1886\u1abf-\u1ace\u1b7d\u1b7e\u1df6-\u1dfb\u2e43-\u2e5d]/u;
const isNewer = (character: string) => newerThan8.test(character);

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
