// A vocabulary as a list: searched by text, and laid over another one.
import { AppError } from "#shared/errors";
import type { NativeTokenizer } from "../engine/addon.ts";
import { pieceText } from "./pieces.ts";

export type VocabularyEntry = { readonly id: number; readonly piece: string };

const textsByTokenizer = new WeakMap<NativeTokenizer, readonly string[]>();

function textsOf(tokenizer: NativeTokenizer): readonly string[] {
  const known = textsByTokenizer.get(tokenizer);
  if (known !== undefined) {
    return known;
  }
  const texts = Array.from({ length: tokenizer.vocabSize }, (_, id) => pieceText(tokenizer.tokenBytes(id)));
  textsByTokenizer.set(tokenizer, texts);
  return texts;
}

/**
 * Entries whose piece matches: a plain text anywhere in it, or, between slashes, a regular expression. A pattern that is
 * no regular expression throws BAD_ARGUMENT.
 */
export function searchVocabulary(
  tokenizer: NativeTokenizer,
  pattern: string,
  limit: number,
): { readonly entries: readonly VocabularyEntry[]; readonly total: number } {
  const between = /^\/(.+)\/([iu]*)$/.exec(pattern);
  let matches = (piece: string) => piece.includes(pattern);
  if (between !== null) {
    let expression: RegExp;
    try {
      expression = new RegExp(between[1] ?? "", `${(between[2] ?? "").replace("u", "")}u`);
    } catch (cause) {
      throw new AppError("BAD_ARGUMENT", `${pattern} is no regular expression; write a plain text or correct it.`, {
        cause,
      });
    }
    matches = (piece) => expression.test(piece);
  }
  const found = textsOf(tokenizer).flatMap((piece, id) => (matches(piece) ? [{ id, piece }] : []));
  return { entries: found.slice(0, limit), total: found.length };
}

export type VocabularyOverlap = {
  readonly sizes: readonly [number, number];
  readonly shared: number;
  /** The longest pieces that only the first, and only the second, has. */
  readonly onlyFirst: readonly VocabularyEntry[];
  readonly onlySecond: readonly VocabularyEntry[];
};

/** A piece as both kinds of tokenizer could write it: WordPiece marks what goes on a word, the others what begins one. */
function plainForm(piece: string): string {
  return piece.startsWith("##") ? piece.slice(2) : piece.replace(/^[ ▁]/u, "");
}

/** By the bytes of the pieces; with `ignoreMarks` a word's beginning and its continuation count as one. */
export function vocabularyOverlap(
  first: NativeTokenizer,
  second: NativeTokenizer,
  options: { readonly ignoreMarks?: boolean; readonly examples?: number } = {},
): VocabularyOverlap {
  const form = options.ignoreMarks === true ? plainForm : (piece: string) => piece;
  const formsOf = (tokenizer: NativeTokenizer) => {
    const forms = new Map<string, VocabularyEntry>();
    for (const [id, piece] of textsOf(tokenizer).entries()) {
      if (!forms.has(form(piece))) {
        forms.set(form(piece), { id, piece });
      }
    }
    return forms;
  };
  const one = formsOf(first);
  const other = formsOf(second);
  const only = (mine: ReadonlyMap<string, VocabularyEntry>, theirs: ReadonlyMap<string, VocabularyEntry>) =>
    [...mine]
      .filter(([key]) => !theirs.has(key))
      .map(([, entry]) => entry)
      .toSorted((a, b) => b.piece.length - a.piece.length || a.id - b.id)
      .slice(0, options.examples ?? 20);
  const shared = [...one.keys()].filter((key) => other.has(key)).length;
  return { sizes: [one.size, other.size], shared, onlyFirst: only(one, other), onlySecond: only(other, one) };
}
