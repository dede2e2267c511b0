// GPT-2 in llama.cpp's terms: the names of its tensors, the keys of its shape, and its byte-level tokenizer as metadata.
// Any vocabulary works, because the pre-tokenizer is named after the pattern (GPT-2's) and not after who trained it.
import { AppError } from "#shared/errors";
import type { NativeModelConfig, NativeTokenizer } from "../../engine/addon.ts";
import type { SpecialIds } from "../hugging-face/config-fields.ts";
import { type TokenizerFacts, tokenizerFacts } from "../tokenizer-facts.ts";
import type { GgufHeader } from "./reader.ts";
import { type GgufDataType, type GgufEntry, type GgufTensorPlan, Q8_BLOCK } from "./writer.ts";

type MappedName = {
  readonly name: string /** GGUF has (out, in) where Conv1D has (in, out). */;
  readonly isTransposed: boolean;
};

const inBlock: Readonly<Record<string, MappedName>> = {
  attn_norm: { name: "ln_1", isTransposed: false },
  attn_qkv: { name: "attn.c_attn", isTransposed: true },
  attn_output: { name: "attn.c_proj", isTransposed: true },
  ffn_norm: { name: "ln_2", isTransposed: false },
  ffn_up: { name: "mlp.c_fc", isTransposed: true },
  ffn_down: { name: "mlp.c_proj", isTransposed: true },
};

const outside: Readonly<Record<string, string>> = {
  "token_embd.weight": "transformer.wte.weight",
  "position_embd.weight": "transformer.wpe.weight",
  "output_norm.weight": "transformer.ln_f.weight",
  "output_norm.bias": "transformer.ln_f.bias",
  // A copy of the token embedding, which older readers want.
  "output.weight": "lm_head.weight",
};

/** Transformers' name of a tensor of a GGUF; null for one that GPT-2 has not. */
export function huggingFaceName(name: string): MappedName | null {
  if (Object.hasOwn(outside, name)) {
    return { name: outside[name] ?? name, isTransposed: false };
  }
  const [, index, part = "", kind] = /^blk\.(\d+)\.([a-z_]+)\.(weight|bias)$/.exec(name) ?? [];
  const mapped = Object.hasOwn(inBlock, part) ? inBlock[part] : undefined;
  return mapped === undefined
    ? null
    : { name: `transformer.h.${index}.${mapped.name}.${kind}`, isTransposed: mapped.isTransposed && kind === "weight" };
}

/** llama.cpp's name of a tensor of Transformers' GPT-2. */
function ggufName(name: string): MappedName {
  const whole = Object.entries(outside).find(([, theirs]) => theirs === name);
  if (whole !== undefined) {
    return { name: whole[0], isTransposed: false };
  }
  const [, index, part, kind] = /^transformer\.h\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  const mapped = Object.entries(inBlock).find(([, theirs]) => theirs.name === part);
  if (mapped === undefined) {
    throw new Error(`GPT-2 has no tensor ${name}.`);
  }
  return { name: `blk.${index}.${mapped[0]}.${kind}`, isTransposed: mapped[1].isTransposed && kind === "weight" };
}

export type PlannedTensor = GgufTensorPlan & {
  /** Transformers' name. */ readonly source: string;
  readonly isTransposed: boolean;
};

/**
 * How each tensor is written. Vectors and positions stay fp32, as llama.cpp keeps them; rows that are no whole blocks
 * stay halves. The output layer is the token embedding and is not written twice: llama.cpp takes it from there.
 */
export function planGguf(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  type: GgufDataType,
): readonly PlannedTensor[] {
  return tensors.map(({ name: source, shape }) => {
    const { name, isTransposed } = ggufName(source);
    const rows = isTransposed ? shape.toReversed() : shape;
    const isWhole = (rows.at(-1) ?? 0) % Q8_BLOCK === 0;
    const narrow = type === "q8_0" && !isWhole ? "f16" : type;
    const isKept = rows.length === 1 || name === "position_embd.weight";
    return { source, name, isTransposed, shape: rows, type: isKept ? "f32" : narrow };
  });
}

function text(header: GgufHeader, key: string): string | null {
  const value = header.metadata.get(key);
  return typeof value === "string" ? value : null;
}

function numeric(header: GgufHeader, key: string): number | null {
  const value = header.metadata.get(key);
  return typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : null;
}

function texts(header: GgufHeader, key: string): readonly string[] {
  const value = header.metadata.get(key);
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : [];
}

function required(header: GgufHeader, key: string): number {
  const value = numeric(header, key);
  if (value === null || !Number.isInteger(value) || value < 1) {
    throw new AppError(
      "GGUF_DAMAGED",
      `${header.file} does not say ${key}, without which it is no GPT-2; export it again.`,
    );
  }
  return value;
}

export function configOfGguf(header: GgufHeader): NativeModelConfig {
  const architecture = text(header, "general.architecture");
  if (architecture !== "gpt2") {
    throw new AppError(
      "NOT_SUPPORTED",
      `${header.file} holds the architecture ${architecture ?? "of no name"}; of GGUF files the engine runs gpt2.`,
    );
  }
  const embedding = header.tensors.find(({ name }) => name === "token_embd.weight");
  const width = required(header, "gpt2.embedding_length");
  return {
    family: "gpt2",
    head: "causal-lm",
    vocabSize: embedding?.shape[0] ?? texts(header, "tokenizer.ggml.tokens").length,
    maxSeqLen: required(header, "gpt2.context_length"),
    nLayers: required(header, "gpt2.block_count"),
    nHeads: required(header, "gpt2.attention.head_count"),
    dModel: width,
    dInner: numeric(header, "gpt2.feed_forward_length") ?? 4 * width,
    typeVocabSize: 0,
    labels: 1,
    layerNormEps: roundedToSix(numeric(header, "gpt2.attention.layer_norm_epsilon") ?? 1e-5),
    embdPdrop: 0,
    attnPdrop: 0,
    residPdrop: 0,
    classifierPdrop: 0,
    activation: "gelu_new",
  };
}

/** An epsilon went through fp32 and comes back as 0.0000099999997; this is what was meant. */
function roundedToSix(value: number): number {
  return Number(value.toPrecision(6));
}

export function specialIdsOfGguf(header: GgufHeader): SpecialIds {
  return {
    bos: numeric(header, "tokenizer.ggml.bos_token_id"),
    eos: numeric(header, "tokenizer.ggml.eos_token_id"),
    pad: numeric(header, "tokenizer.ggml.padding_token_id"),
  };
}

const normalToken = 1;
const controlToken = 3;
const unusedToken = 5;

function tokenTypes(header: GgufHeader): readonly number[] {
  const value = header.metadata.get("tokenizer.ggml.token_type");
  return Array.isArray(value) ? value.map(Number) : [];
}

export function tokenizerFactsOfGguf(header: GgufHeader): TokenizerFacts | null {
  const tokens = texts(header, "tokenizer.ggml.tokens");
  if (tokens.length === 0) {
    return null;
  }
  const types = tokenTypes(header);
  const vocabulary = new Map<string, number>();
  const special: string[] = [];
  for (const [id, token] of tokens.entries()) {
    if (types[id] === unusedToken) {
      continue;
    }
    vocabulary.set(token, id);
    if (types[id] === controlToken) {
      special.push(token);
    }
  }
  const eos = numeric(header, "tokenizer.ggml.eos_token_id");
  const kind = text(header, "tokenizer.ggml.model");
  return {
    ...tokenizerFacts({
      kind: kind === "gpt2" ? "byte-bpe" : kind === "bert" ? "wordpiece" : "other",
      source: header.file,
      vocabulary,
      declaredSpecial: special,
    }),
    roles: eos === null || tokens[eos] === undefined ? {} : { eos_token: tokens[eos] },
  };
}

/** tokenizer.json of a GGUF's own tokenizer, as Hugging Face's libraries and the engine read it. */
export function tokenizerJsonOfGguf(header: GgufHeader): Readonly<Record<string, unknown>> {
  const tokens = texts(header, "tokenizer.ggml.tokens");
  const preTokenizer = text(header, "tokenizer.ggml.pre");
  if (text(header, "tokenizer.ggml.model") !== "gpt2" || preTokenizer !== "gpt-2") {
    throw new AppError(
      "NOT_SUPPORTED",
      `${header.file} has the pre-tokenizer ${preTokenizer ?? "of no name"}; the engine has GPT-2's (gpt-2).`,
    );
  }
  const types = tokenTypes(header);
  const byteLevel = { type: "ByteLevel", trim_offsets: true, use_regex: true };
  const isSpecial = (id: number): boolean => types[id] === controlToken;
  const kept = tokens.map((token, id) => ({ token, id })).filter(({ id }) => types[id] !== unusedToken);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: kept
      .filter(({ id }) => isSpecial(id))
      .map(({ token, id }) => ({
        id,
        content: token,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
    normalizer: null,
    pre_tokenizer: { ...byteLevel, add_prefix_space: false },
    post_processor: null,
    decoder: { ...byteLevel, add_prefix_space: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(kept.map(({ token, id }) => [token, id])),
      merges: texts(header, "tokenizer.ggml.merges"),
    },
  };
}

let alphabet: readonly string[] | undefined;

/** GPT-2's characters for bytes: those that print stand for themselves, the rest count on from U+0100. */
function byteAlphabet(): readonly string[] {
  if (alphabet === undefined) {
    let standIn = 0x100;
    alphabet = Array.from({ length: 256 }, (_, byte) => {
      const prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
      const character = prints ? byte : standIn;
      standIn += prints ? 0 : 1;
      return String.fromCodePoint(character);
    });
  }
  return alphabet;
}

function pieceOf(bytes: Uint8Array): string {
  const characters = byteAlphabet();
  let piece = "";
  for (const byte of bytes) {
    piece += characters[byte] ?? "";
  }
  return piece;
}

const fileTypes: Readonly<Record<GgufDataType, number>> = { f32: 0, f16: 1, q8_0: 7 };

/** Everything a GGUF of this model says beside its tensors. `special`: tokens that are no text, by id. */
export function ggufMetadata(options: {
  readonly config: NativeModelConfig;
  readonly tokenizer: Pick<NativeTokenizer, "vocabSize" | "endOfTextId" | "tokenBytes" | "merges">;
  readonly special: ReadonlyMap<number, string>;
  readonly name: string;
  readonly type: GgufDataType;
}): readonly GgufEntry[] {
  const { config, tokenizer, special } = options;
  const endOfText = tokenizer.endOfTextId;
  if (endOfText === null) {
    throw new AppError(
      "NOT_SUPPORTED",
      "The tokenizer has no end-of-text token, and llama.cpp would end every text at token 11 instead; export with a tokenizer that has one.",
    );
  }
  const tokens: string[] = [];
  const types = new Int32Array(config.vocabSize);
  for (let id = 0; id < config.vocabSize; id += 1) {
    const specialText = special.get(id);
    if (specialText !== undefined) {
      tokens.push(specialText);
      types[id] = controlToken;
    } else if (id < tokenizer.vocabSize) {
      tokens.push(pieceOf(tokenizer.tokenBytes(id)));
      types[id] = normalToken;
    } else {
      // Rows of the embedding beyond the vocabulary still need a text of their own.
      tokens.push(`[UNUSED${id}]`);
      types[id] = unusedToken;
    }
  }
  const merges = tokenizer.merges().map(([left, right]) => `${tokens[left]} ${tokens[right]}`);
  return [
    { key: "general.architecture", type: "string", value: "gpt2" },
    { key: "general.name", type: "string", value: options.name },
    { key: "general.file_type", type: "u32", value: fileTypes[options.type] },
    ...(options.type === "q8_0" ? [{ key: "general.quantization_version", type: "u32", value: 2 } as const] : []),
    { key: "gpt2.context_length", type: "u32", value: config.maxSeqLen },
    { key: "gpt2.embedding_length", type: "u32", value: config.dModel },
    { key: "gpt2.block_count", type: "u32", value: config.nLayers },
    { key: "gpt2.feed_forward_length", type: "u32", value: config.dInner },
    { key: "gpt2.attention.head_count", type: "u32", value: config.nHeads },
    { key: "gpt2.attention.layer_norm_epsilon", type: "f32", value: config.layerNormEps },
    { key: "tokenizer.ggml.model", type: "string", value: "gpt2" },
    { key: "tokenizer.ggml.pre", type: "string", value: "gpt-2" },
    { key: "tokenizer.ggml.tokens", type: "strings", value: tokens },
    { key: "tokenizer.ggml.token_type", type: "i32s", value: types },
    { key: "tokenizer.ggml.merges", type: "strings", value: merges },
    { key: "tokenizer.ggml.bos_token_id", type: "u32", value: endOfText },
    { key: "tokenizer.ggml.eos_token_id", type: "u32", value: endOfText },
    { key: "tokenizer.ggml.add_bos_token", type: "bool", value: false },
  ];
}
