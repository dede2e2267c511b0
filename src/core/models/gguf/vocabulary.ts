// The tokenizer inside a GGUF as a tokenizer.json: GPT-2's byte-level BPE, and BERT's WordPiece, whose pieces llama.cpp
// turns around (words begin with "▁", pieces that go on have no mark).
import { AppError } from "#shared/errors";
import { tokenizerJsonOfGguf } from "./gpt2.ts";
import type { GgufHeader } from "./reader.ts";

const CONTROL_TOKEN = 3;
const WORD_BEGINS = "\u2581";

function texts(header: GgufHeader, key: string): readonly string[] {
  const value = header.metadata.get(key);
  return Array.isArray(value) ? value.map(String) : [];
}

function bertPiece(token: string): string {
  if (token.startsWith(WORD_BEGINS)) {
    return token.slice(WORD_BEGINS.length);
  }
  return /^\[.+\]$/.test(token) ? token : `##${token}`;
}

function bertJson(header: GgufHeader): Readonly<Record<string, unknown>> {
  const types = header.metadata.get("tokenizer.ggml.token_type");
  const isControl = (id: number): boolean => Array.isArray(types) && Number(types[id]) === CONTROL_TOKEN;
  const tokens = texts(header, "tokenizer.ggml.tokens");
  // Control tokens are written as they are; so are the unused ones of BERT's file.
  const pieces = tokens.map((token, id) => (isControl(id) ? token : bertPiece(token)));
  const vocab = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) {
    if (!vocab.has(piece)) {
      vocab.set(piece, id);
    }
  }
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].flatMap((content) => {
    const id = vocab.get(content);
    return id === undefined ? [] : [{ id, content, special: true, normalized: false }];
  });
  const cls = vocab.get("[CLS]");
  const sep = vocab.get("[SEP]");
  // Capitals would show a cased vocabulary; the file itself does not say.
  const isCased = pieces.some((piece) => /^[A-Z][a-z]{2,}$/.test(piece));
  return {
    version: "1.0",
    added_tokens: special,
    normalizer: { type: "BertNormalizer", lowercase: !isCased },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor:
      cls === undefined || sep === undefined
        ? null
        : { type: "BertProcessing", cls: ["[CLS]", cls], sep: ["[SEP]", sep] },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", vocab: Object.fromEntries(vocab) },
  };
}

export function tokenizerJsonOfGgufVocabulary(header: GgufHeader): Readonly<Record<string, unknown>> {
  const model = header.metadata.get("tokenizer.ggml.model");
  if (model === "bert") {
    return bertJson(header);
  }
  if (model !== "gpt2") {
    throw new AppError(
      "NOT_SUPPORTED",
      `${header.file} holds ${model === undefined ? "no tokenizer" : `a tokenizer of the kind ${String(model)}`}; those of gpt2 and bert are read.`,
    );
  }
  return tokenizerJsonOfGguf(header);
}
