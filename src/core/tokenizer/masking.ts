// What a masked objective needs of a tokenizer: BERT's four special tokens, and which tokens begin a word.
import type { Recipe } from "#shared/domain/recipe";
import { maskedSpecials } from "#shared/domain/recipe-check-model";
import { AppError } from "#shared/errors";
import type { NativeMasking, NativeTokenizer } from "../engine/addon.ts";

/** A tokenizer of which only these are asked; so that tests need no engine. */
export type MaskingTokenizer = Pick<NativeTokenizer, "vocabSize" | "endOfTextId" | "tokenBytes" | "idOfBytes"> &
  Partial<Pick<NativeTokenizer, "kind" | "roleId" | "wordStarts">>;

const roles = ["pad", "cls", "sep", "mask"] as const;

/** Ids of [PAD], [CLS], [SEP] and [MASK]; a tokenizer that lacks one is refused with what to do. */
export function maskedSpecialIds(tokenizer: MaskingTokenizer): {
  readonly padId: number;
  readonly clsId: number;
  readonly sepId: number;
  readonly maskId: number;
} {
  const encoder = new TextEncoder();
  // By name in a vocabulary of ours; in a foreign one by what its files say ("<mask>" of RoBERTa's kin).
  const ids = maskedSpecials.map(
    (text, index) => tokenizer.idOfBytes(encoder.encode(text)) ?? tokenizer.roleId?.(roles[index] ?? "pad") ?? null,
  );
  const missing = maskedSpecials.filter((_, index) => ids[index] === null);
  if (missing.length > 0) {
    throw new AppError(
      "TOKENIZER_INVALID",
      `The tokenizer has no ${missing.join(", ")}, which a masked objective needs; train one in the recipe (tokenizer: {train: …}, which adds them), or name one made for BERT.`,
    );
  }
  const [padId, clsId, sepId, maskId] = ids as [number, number, number, number]; // as: none is null here
  return { padId, clsId, sepId, maskId };
}

const isAsciiLetterOrDigit = (byte: number) =>
  (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);

/**
 * 1 for every token that begins a word: in a byte-level vocabulary those that begin with white space, and punctuation,
 * which is no part of the word before it. A letter, a digit or a byte of a longer character goes on with a word.
 */
export function wordStartsOf(tokenizer: MaskingTokenizer): Uint8Array {
  if (tokenizer.kind !== undefined && tokenizer.kind !== "byte-bpe" && tokenizer.wordStarts !== undefined) {
    return tokenizer.wordStarts();
  }
  const starts = new Uint8Array(tokenizer.vocabSize);
  for (let id = 0; id < tokenizer.vocabSize; id += 1) {
    const first = tokenizer.tokenBytes(id)[0] ?? 0;
    starts[id] = first < 0x80 && !isAsciiLetterOrDigit(first) ? 1 : 0;
  }
  return starts;
}

/** Null for a causal objective. */
export function maskingOf(recipe: Recipe, tokenizer: MaskingTokenizer): NativeMasking | null {
  const { objective } = recipe;
  if (objective.name === "clm") {
    return null;
  }
  const special = maskedSpecialIds(tokenizer);
  const wordStarts = wordStartsOf(tokenizer);
  const specials = new Set([special.padId, special.clsId, special.sepId, special.maskId]);
  if (tokenizer.endOfTextId !== null) {
    specials.add(tokenizer.endOfTextId);
  }
  return {
    probability: objective.mask_probability,
    wholeWord: objective.whole_word,
    sentenceOrder: objective.name === "mlm+sop",
    ...special,
    wordStarts,
    specials: Uint32Array.from([...specials].toSorted((a, b) => a - b)),
  };
}
