// The facts of a tokenizer by what a person calls it: a folder, a file, the name of one in the workspace, or gpt2.
import { stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { NativeTokenizer } from "../engine/addon.ts";
import { loadGpt2Tokenizer } from "../tokenizer/gpt2.ts";
import { loadTokenizer } from "../tokenizer/load.ts";
import { pieceText } from "../tokenizer/pieces.ts";
import { readTokenizerFacts, type TokenizerFacts, tokenizerFacts } from "./tokenizer-facts.ts";

/** GPT-2's comes with a package and is no folder. */
async function gpt2Facts(): Promise<TokenizerFacts> {
  const tokenizer = await loadGpt2Tokenizer();
  const vocabulary = new Map<string, number>();
  for (let id = 0; id < tokenizer.vocabSize; id += 1) {
    const text = pieceText(tokenizer.tokenBytes(id));
    // Bytes that are no text may be written alike.
    vocabulary.set(vocabulary.has(text) ? `${text} ${id}` : text, id);
  }
  return tokenizerFacts({ kind: "byte-bpe", source: "gpt2", vocabulary });
}

/** SentencePiece's, fastBPE's and other files are told by opening them; null for what is no tokenizer at all. */
async function openedFacts(source: string, workspace: string): Promise<TokenizerFacts | null> {
  let tokenizer: NativeTokenizer;
  try {
    tokenizer = await loadTokenizer(source, { workspace });
  } catch (error) {
    if (error instanceof AppError) {
      return null;
    }
    throw error;
  }
  const vocabulary = new Map<string, number>();
  for (let id = 0; id < tokenizer.vocabSize; id += 1) {
    const text = tokenizer.piece(id);
    vocabulary.set(vocabulary.has(text) ? `${text} ${id}` : text, id);
  }
  return tokenizerFacts({ kind: tokenizer.kind, source, vocabulary, lowerCases: tokenizer.lowercases });
}

export async function namedTokenizerFacts(source: string, workspace: string): Promise<TokenizerFacts> {
  if (source === "gpt2") {
    return gpt2Facts();
  }
  const isThere = (await stat(source).catch(() => null)) !== null;
  const isName = !/[\\/]/.test(source) && source !== "";
  const place = !isThere && isName ? path.join(workspace, "tokenizers", source) : source;
  const facts = (await readTokenizerFacts(place)) ?? (await openedFacts(place, workspace));
  if (facts === null) {
    throw new AppError(
      "TOKENIZER_NOT_FOUND",
      `${source} holds no tokenizer that can be read; name gpt2, one of the workspace, or a folder with tokenizer.json, vocab.json and merges.txt, or vocab.txt.`,
    );
  }
  return facts;
}
