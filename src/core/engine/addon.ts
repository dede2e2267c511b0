// The native engine as TypeScript sees it, and the only place that loads it. native/binding implements these types;
// what each call does to files and memory is said here, once. Every function that returns a promise works off the
// JavaScript thread. Every error carries `code` and one sentence. All typed arrays are copies that JavaScript owns.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

import type { Device, Recompute } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";

export type NativeFamily = "gpt2" | "bert" | "megatron_bert";

export type NativeHead =
  | "causal-lm"
  | "masked-lm"
  /** Masked LM and the order of two segments. */
  | "pretraining"
  | "multiple-choice"
  | "sequence-classification"
  | "token-classification"
  | "span-qa";

export type NativeModelConfig = {
  readonly family: NativeFamily;
  readonly head: NativeHead;
  /** Of the feed-forward layers: GPT-2's tanh approximation, or the exact function. */
  readonly activation: "gelu_new" | "gelu";
  /** 0 for gpt2, at least 1 for encoders. */
  readonly typeVocabSize: number;
  /** Outputs of a classification head; 1 where the head has none. */
  readonly labels: number;
  readonly classifierPdrop: number;
  readonly vocabSize: number;
  readonly maxSeqLen: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly dModel: number;
  /** Width of the feed-forward layer, as a rule 4 · dModel. */
  readonly dInner: number;
  readonly layerNormEps: number;
  readonly embdPdrop: number;
  readonly attnPdrop: number;
  readonly residPdrop: number;
};

/** Low-rank adapters (Hu et al. 2021) on every linear layer of the blocks whose Hugging Face name ends with a target. */
export type NativeLora = {
  readonly rank: number;
  /** The adapters' output is scaled by alpha / rank. */
  readonly alpha: number;
  readonly dropout: number;
  readonly targets: readonly string[];
};

export type NativeWeightType = "fp32" | "bf16" | "int8";

export type NativeModelOptions = {
  /** 0: one for each core. */
  /** By default the processor. */
  readonly device?: Device;
  readonly threads: number;
  /** How linear weights and the token embedding are stored; narrower than fp32 they are frozen. */
  readonly weights?: NativeWeightType;
  readonly lora?: NativeLora | null;
};

/** (B, T) unless said otherwise. */
export type NativeBatch = {
  readonly tokens: Int32Array;
  readonly batch: number;
  readonly seqLen: number;
  readonly tokenTypes?: Int32Array;
  /** By default 0 … T − 1. */
  readonly positions?: Int32Array;
  /** A position attends to its neighbours of the same number; −1 is padding. By default one text a sequence. */
  readonly segments?: Int32Array;
  /**
   * Negative: not scored. (B, T) for language models and token classification, (B) for sequence classification,
   * (B / choices) for multiple choice, (B, 2) first and last position for span QA.
   */
  readonly targets?: Int32Array;
  /** (B), pretraining: 1 where the segments were swapped. */
  readonly sentenceTargets?: Int32Array;
  /** Multiple choice: neighbouring sequences that belong to one question. */
  readonly choices?: number;
};

/** Masked language modelling as BERT's: of the predicted tokens 80 % become the mask, 10 % a random token. */
export type NativeMasking = {
  readonly probability: number;
  readonly wholeWord: boolean;
  /** Two segments, half of the pairs swapped; needs the pretraining head. */
  readonly sentenceOrder: boolean;
  readonly maskId: number;
  readonly clsId: number;
  readonly sepId: number;
  readonly padId: number;
  /** One entry a token: 1 where it begins a word. */
  readonly wordStarts: Uint8Array;
  /** Never masked, never put in. */
  readonly specials: Uint32Array;
};

export type NativeMachine = {
  readonly cpuModel: string;
  readonly physicalCores: number;
  readonly logicalCores: number;
  readonly isa: readonly string[];
  readonly gemm: "onednn" | "portable";
  readonly onednnVersion: string | null;
  readonly onednnPath: string | null;
  readonly engineVersion: string;
  readonly memoryBytes: number;
  readonly cuda: NativeCuda;
};

export type NativeGpu = {
  readonly id: Device;
  /** As the driver says, such as "NVIDIA H200". */
  readonly name: string;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** Compute capability, such as "9.0". */
  readonly computeCapability: string;
};

export type NativeCuda = {
  /** What the driver can do, such as "13.0"; null where there is none. */
  readonly driverVersion: string | null;
  readonly gpus: readonly NativeGpu[];
  readonly cublasltPath: string | null;
  readonly backendPath: string | null;
  /** Why none of the GPUs can be used, and what to do; null where they can. */
  readonly problem: string | null;
};

export type NativeMemoryPlan = {
  readonly parameterBytes: number;
  /** Weights rounded to bf16 beside those in fp32, on a device that wants them so. */
  readonly weightCopyBytes: number;
  readonly gradientBytes: number;
  readonly optimizerBytes: number;
  readonly activationBytes: number;
  readonly workspaceBytes: number;
  readonly totalBytes: number;
};

export type NativeTrainingOptions = {
  readonly microbatchSize: number;
  readonly seqLen: number;
  readonly globalBatchSize: number;
  /** Of dropout. Whole, below 2^53. */
  readonly seed: number;
  readonly optimizer: {
    readonly lr: number;
    readonly betas: readonly [number, number];
    readonly eps: number;
    readonly weightDecay: number;
    /** Glob patterns over tensor names. */
    readonly noDecay: readonly string[];
  };
  readonly gradientClipping: number | null;
  /** amp_bf16: operands of matrix products rounded to bf16; weights, gradients and moments stay fp32. */
  readonly precision: "fp32" | "amp_bf16";
  /**
   * What backward computes again: nothing, what norms and the activation gave, or all of a block but its input.
   */
  readonly recompute: Recompute;
  /** Copies of the weights in bf16 are rounded up or down by chance. Where there are none it changes nothing. */
  readonly stochasticRounding: boolean;
  readonly optimizerState: "fp32" | "8bit";
  /** Glob patterns over tensor names. */
  readonly frozen: readonly string[];
  readonly labelSmoothing: number;
  /** One a label of a classification head; null: all 1. */
  readonly classWeights: readonly number[] | null;
  /** Causal: attention and positions begin anew at end-of-text. */
  readonly documentMask: boolean;
  readonly masking: NativeMasking | null;
};

export type NativeStepResult = {
  /** Mean over all tokens of the global batch, before the update. */
  readonly loss: number;
  readonly gradNorm: number;
  readonly tokens: number;
  /** False when loss or gradNorm is not finite; the weights are then as before. */
  readonly applied: boolean;
  readonly seconds: number;
};

export type NativeDataStep = {
  readonly data: NativeTokenData;
  readonly step: number;
  readonly lr: number;
  readonly shuffleSeed: number;
};

export type NativeWindowStep = {
  readonly windows: Int32Array;
  /** Where documents end; needed with `documentMask` alone. */
  readonly endOfTextId?: number;
  readonly step: number;
  readonly lr: number;
};

/** Tokens on disk, mapped: of a token cache or of a shard. What is copied is checked against the vocabulary. */
export interface NativeTokenText {
  readonly tokenCount: number;
  readonly vocabSize: number;
  /** Windows of seqLen + 1 tokens that step by seqLen; 0 where the text is shorter than one. */
  windowCount(seqLen: number): number;
  /** Fills `out` with the tokens from `begin` on. */
  copyTokens(begin: number, out: Int32Array): void;
  /**
   * Window `windows[i]` becomes row `rows[i]` of `out`, whose rows have seqLen + 1 tokens: a batch that is gathered from
   * several texts is one array. Without `rows` they follow each other.
   */
  copyWindows(windows: Uint32Array, seqLen: number, out: Int32Array, rows?: Uint32Array): void;
  /** Unmaps the files once no running call uses them. Closing twice is fine. */
  close(): void;
}

/** A memory-mapped token cache (docs/formats/token-cache.md). */
export interface NativeTokenData extends NativeTokenText {
  readonly documentCount: number;
  readonly endOfTextId: number;
}

/** A raw (uncompressed) MDS shard with a column of tokens, as its index.json describes it. */
export type NativeTokenShard = {
  readonly file: string;
  readonly samples: number;
  /** Bytes of each column, in the shard's order; null where each sample says its own. */
  readonly columnSizes: readonly (number | null)[];
  /** Which of the columns holds the tokens, from 0. */
  readonly tokenColumn: number;
  /** Its encoding: "bytes", or "ndarray:" and uint16, uint32, int32, uint64 or int64, with or without a fixed shape. */
  readonly encoding: string;
  /** How wide an id is where the encoding is "bytes"; an ndarray says it itself. */
  readonly tokenBytes: 2 | 4 | 8;
  readonly vocabSize: number;
};

export type NativeTensorInfo = { readonly name: string; readonly shape: readonly number[] };

export type NativeAlternative = { readonly id: number; readonly logprob: number };

export type NativeGeneratedToken = {
  readonly id: number;
  readonly logprob: number;
  readonly index: number;
  /** With `tokenizer`: the whole characters that this token completes; never part of a stop text. */
  readonly text?: string;
  /** The `topLogprobs` likeliest tokens in its place, the likeliest first. */
  readonly alternatives?: readonly NativeAlternative[];
};

export type NativeGenerationRequest = {
  /** May be empty if `endOfTextId` is given, which then starts the text. Longer than the context: its end is kept. */
  readonly prompt: Uint32Array;
  readonly endOfTextId?: number;
  readonly maxNewTokens: number;
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  /** 0 means all. */
  readonly topK: number;
  /** 1 means all. */
  readonly topP: number;
  readonly seed: number;
  readonly stopIds: Uint32Array;
  /** Divides (or, below zero, multiplies) the logits of tokens that are in the text already; 1 is none. */
  readonly repetitionPenalty?: number;
  /** How many alternatives a token comes with. */
  readonly topLogprobs?: number;
  /** With it tokens and the result come with text. */
  readonly tokenizer?: NativeTokenizer;
  /**
   * The text ends before the first of these, also where it begins inside a token; needs `tokenizer`. A token is told
   * once it can no longer be part of one, the last one cut where the stop text begins.
   */
  readonly stopTexts?: readonly string[];
};

export type NativeGenerationResult = {
  /** The new tokens, without a stop token; before a stop text, those that begin before it. */
  readonly ids: Uint32Array;
  /** With `tokenizer`: the tokens' texts together; what is left of a character that was not finished is U+FFFD. */
  readonly text?: string;
  readonly seconds: number;
  readonly promptSeconds: number;
  readonly stopReason: "length" | "stop" | "cancelled";
  /** Tokens cut from the beginning of a prompt that is longer than the context; as a rule 0. */
  readonly promptTokensDropped: number;
  /** How often the context was full, so that the window moved on to its last half. */
  readonly windowSlides: number;
};

export type NativeScoringRequest = {
  readonly tokens: Uint32Array;
  /** What the text begins behind; without it the first token has no score. */
  readonly endOfTextId?: number;
  /** Positions read at once; by default the model's context. */
  readonly window?: number;
  /** From one window to the next, by default half a window; each token is scored in the first window that holds it. */
  readonly stride?: number;
  /** How many of the likeliest tokens to name in each place. */
  readonly topLogprobs?: number;
};

export type NativeScores = {
  /** Entry i of the arrays is of tokens[firstScored + i]. */
  readonly firstScored: number;
  /** Natural. */
  readonly logprobs: Float64Array;
  /** 1: the model's first choice. */
  readonly ranks: Uint32Array;
  /** The sum of −logprob. */
  readonly nats: number;
  /** Entries i · alternativesEach … of the two arrays are what was likeliest in place i, likeliest first. */
  readonly alternativesEach: number;
  readonly alternativeIds: Uint32Array;
  readonly alternativeLogprobs: Float64Array;
};

export type NativeTensorHeaders = {
  readonly format: "safetensors" | "pytorch" | "gguf";
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
  readonly metadata: Readonly<Record<string, unknown>>;
};

export interface NativeModel {
  /** Hugging Face GPT2LMHeadModel names, Conv1D layout (in, out); lm_head is tied to wte and not listed. */
  parameters(): readonly NativeTensorInfo[];
  /** As GPT-2: normal 0.02, residual projections 0.02 / √(2 · layers), biases 0, layer norms 1 and 0. */
  initialize(seed: number): Promise<void>;
  /**
   * A folder, safetensors (sharded too) or pytorch_model.bin, in F32, F16 or BF16; names with or without the base's prefix; a mismatch names the tensor. With `allowMissingHead` the
   * file may have another head or none: what is missing stays as it is.
   */
  loadWeights(
    file: string,
    options?: { readonly allowMissingHead?: boolean },
  ): Promise<{ readonly missing: readonly string[]; readonly unexpected: readonly string[] }>;
  /** safetensors, F32, fsynced; without adapters. */
  saveWeights(file: string): Promise<void>;
  /** PEFT's adapter_model.safetensors: the adapters and a small head trained beside them. */
  saveAdapter(file: string): Promise<void>;
  loadAdapter(file: string): Promise<void>;
  /** Adds the adapters to the weights; the model computes the same, and its adapters change nothing any more. */
  mergeAdapter(): Promise<void>;
  readTensor(name: string): Promise<Float32Array>;
  writeTensor(name: string, values: Float32Array): Promise<void>;
  /** Arithmetic only. */
  planTraining(options: NativeTrainingOptions): NativeMemoryPlan;
  /** Allocates what the plan says, once. */
  prepareTraining(options: NativeTrainingOptions): Promise<NativeMemoryPlan>;
  loadOptimizer(file: string): Promise<void>;
  saveOptimizer(file: string): Promise<void>;
  /**
   * `step` is the 1-based number of this update. From `data` its batch follows (docs/formats/data-order.md); `windows`
   * are the batch itself (globalBatchSize, seqLen + 1), copied before the call returns. The same tokens give the same
   * bits either way.
   */
  trainStep(request: NativeDataStep | NativeWindowStep): Promise<NativeStepResult>;
  /** Forward and backward of batch · (seqLen + 1) tokens without dropout, for parity tests. */
  computeGradients(request: {
    readonly tokens: Int32Array;
    readonly batch: number;
    readonly seqLen: number;
  }): Promise<{ readonly loss: number }>;
  readGradient(name: string): Promise<Float32Array>;
  /** One update from any batch of at most the prepared seqLen. */
  trainBatch(request: {
    readonly batch: NativeBatch;
    readonly step: number;
    readonly lr: number;
  }): Promise<NativeStepResult>;
  /** Loss and gradients without dropout. */
  computeBatchGradients(batch: NativeBatch): Promise<{ readonly loss: number }>;
  /**
   * What the head says: language models (B, T, V), classification of sequences (B, labels) or tokens (B, T, labels),
   * multiple choice (B / choices, choices), span QA (B, T, 2); pretraining gives its masked language model's.
   */
  predict(batch: NativeBatch): Promise<Float32Array>;
  /** Pretraining: (B, 2). */
  predictSentenceOrder(batch: NativeBatch): Promise<Float32Array>;
  trainedParameterCount(): Promise<number>;
  /** Clips and applies the gradients of computeGradients. */
  applyUpdate(request: { readonly step: number; readonly lr: number }): Promise<{ readonly gradNorm: number }>;
  /** (tokens.length, vocabSize) of one sequence no longer than the context. */
  logits(tokens: Int32Array): Promise<Float32Array>;
  /**
   * Each document alone after end-of-text, in windows of seqLen; `stride` below seqLen overlaps them. With `masking`:
   * the windows of the text, masked the same way every time. nats is the sum.
   */
  evaluate(request: {
    readonly data: NativeTokenData;
    readonly seqLen: number;
    readonly stride?: number;
    readonly endOfTextId: number;
    readonly fromDocument?: number;
    readonly toDocument?: number;
    readonly masking?: NativeMasking | null;
    readonly maskingSeed?: number;
  }): Promise<{
    readonly nats: number;
    readonly tokenCount: number;
    readonly sentenceNats: number;
    readonly sentenceCount: number;
  }>;
  /**
   * Continues several prompts side by side, each as it would be continued alone; the results are in their order, and
   * `request` is the place of the token's request among them. A wrong request is an error of them all.
   */
  generateBatch(
    requests: readonly NativeGenerationRequest[],
    onToken?: (token: NativeGeneratedToken, request: number) => void,
  ): { readonly done: Promise<readonly NativeGenerationResult[]>; cancel(): void };
  /** What a causal model thinks of a given text. */
  score(request: NativeScoringRequest): Promise<NativeScores>;
  /** Tokens are told in bundles, a few milliseconds' worth each. */
  generate(
    request: NativeGenerationRequest,
    onToken: (token: NativeGeneratedToken) => void,
  ): { readonly done: Promise<NativeGenerationResult>; cancel(): void };
  /** Frees the memory once queued work is done; later calls fail with ENGINE_DISPOSED. Disposing twice is fine. */
  dispose(): void;
}

export type NativeTokenizerKind = "byte-bpe" | "character-bpe" | "wordpiece" | "unigram" | "word-level";

export type NativeTokenRole = "pad" | "cls" | "sep" | "mask" | "unk" | "bos" | "eos";
/** The texts of special tokens by what they are for. */
export type NativeTokenRoles = Readonly<Partial<Record<NativeTokenRole, string>>>;

export type NativeEncodeOptions = {
  /** By default true: what the tokenizer's template puts around a text. */
  readonly addSpecialTokens?: boolean;
  /** By default false: the text of a special token in the input is ordinary text. */
  readonly matchSpecialTokens?: boolean;
  readonly truncation?: {
    readonly maxLength: number;
    /** Tokens that each further part repeats of the one before. */
    readonly stride?: number;
    readonly strategy?: "longest_first" | "only_first" | "only_second";
    readonly side?: "left" | "right";
  };
  /** Without a length to the longest of the batch. */
  readonly padding?: {
    readonly padId: number;
    readonly length?: number;
    readonly multipleOf?: number;
    readonly padTypeId?: number;
    readonly side?: "left" | "right";
  };
};

/** One entry a token in every array. */
export type NativeEncoding = {
  readonly ids: Uint32Array;
  /** Bytes of the UTF-8 text; 0 to 0 for tokens that stand for no text. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly typeIds: Uint32Array;
  readonly attentionMask: Uint8Array;
  readonly specialTokensMask: Uint8Array;
  /** The number of the word; −1 for special tokens. */
  readonly words: Int32Array;
  /** 0 the text, 1 the pair, −1 special tokens. */
  readonly sequences: Int8Array;
  /** What truncation cut off. */
  readonly overflow: readonly NativeEncoding[];
};

export interface NativeTokenizer {
  readonly kind: NativeTokenizerKind;
  readonly vocabSize: number;
  /** Whether a normalizer turns text into lower case. */
  readonly lowercases: boolean;
  /** What stands between documents: <|endoftext|>, or by role the end of a text, or [SEP]. */
  readonly endOfTextId: number | null;
  /**
   * Byte offsets into the UTF-8 text; no special tokens are recognised in the text and none are added. Bytes are taken
   * as they are, UTF-8 or not.
   */
  encode(text: string | Uint8Array): {
    readonly ids: Uint32Array;
    readonly starts: Uint32Array;
    readonly ends: Uint32Array;
  };
  encodeText(
    text: string | Uint8Array,
    options?: NativeEncodeOptions & { readonly pair?: string | Uint8Array },
  ): NativeEncoding;
  encodeTexts(
    texts: readonly string[],
    options?: NativeEncodeOptions & { readonly threads?: number },
  ): Promise<readonly NativeEncoding[]>;
  /** All ids in one array; text i is ids[offsets[i]] … ids[offsets[i + 1] - 1]. */
  encodeBatch(
    texts: readonly string[],
    /** By default all cores; the result is the same. */
    options?: { readonly threads?: number },
  ): Promise<{ readonly ids: Uint32Array; readonly offsets: Float64Array; readonly textBytes: Float64Array }>;
  decode(ids: Uint32Array, skipSpecialTokens?: boolean): Uint8Array;
  /** The bytes of a token of byte-level BPE; of the other kinds its piece, as the file writes it. */
  tokenBytes(id: number): Uint8Array;
  idOfBytes(bytes: Uint8Array): number | null;
  /** As the vocabulary writes it: "Ġthe", "##ing", "▁the". */
  piece(id: number): string;
  idOfPiece(piece: string): number | null;
  /** By what the tokenizer's files say, or by the names in use. */
  roleId(role: NativeTokenRole): number | null;
  /** One entry a token: 1 where it begins a word. */
  wordStarts(): Uint8Array;
  /** Pairs of ids in rank order; byte-level BPE as GPT-2 has it only. */
  merges(): readonly (readonly [number, number])[];
  /** The words of a text as the model gets them, normalized and cut; NOT_SUPPORTED for GPT-2's kind. */
  words(text: string): readonly string[];
  /** Unigram's log probabilities by id, NaN for tokens that are none of its pieces; null for other kinds. */
  pieceScores(): Float64Array | null;
  /** Null for other kinds than WordPiece. */
  wordPieceLimits(): { readonly continuingPrefix: string; readonly maxWordCharacters: number } | null;
  saveTokenizerJson(file: string): Promise<void>;
  /** BERT's; NOT_SUPPORTED for other kinds than WordPiece. */
  saveVocabTxt(file: string): Promise<void>;
  saveVocabAndMerges(directory: string): Promise<void>;
  /** SentencePiece's .model; NOT_SUPPORTED for other kinds than Unigram. */
  saveSentencePiece(file: string): Promise<void>;
}

export interface NativeTokenizerTrainer {
  add(texts: readonly string[]): Promise<void>;
  readonly wordCount: number;
  readonly distinctWords: number;
  readonly byteCount: number;
  memoryBytes(): number;
  /** Counted words that did not fit the memory limit lie in a file of this size. */
  readonly temporaryBytes: number;
  /** Of the last training: words seen less often were left out for want of memory; 1: none were. */
  readonly minWordCount: number;
  readonly wordsLeftOut: number;
  /** Learns from what was added; fewer tokens than asked for where the text has no more. */
  train(
    options: {
      readonly vocabSize: number;
      /** Of a merge; unigram has none. */
      readonly minFrequency: number;
      /** Special tokens with the first ids; byte-level BPE puts them before the last ones. Unigram's first is the unknown one. */
      readonly firstTokens: readonly string[];
      readonly lastTokens: readonly string[];
      /** Become single tokens whatever their frequency. */
      readonly protectedWords?: readonly string[];
      readonly threads: number;
    },
    onProgress: (done: number, total: number) => void,
  ): Promise<NativeTokenizer>;
}

export type NativeSafetensorsHeader = {
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    /** Byte offsets from the end of the header; `end` is exclusive. */
    readonly begin: number;
    readonly end: number;
  }[];
  readonly metadata: Readonly<Record<string, string>>;
};

export interface NativeAddon {
  machine(): NativeMachine;
  createModel(config: NativeModelConfig, options: NativeModelOptions): NativeModel;
  /** Arithmetic only: a plan of a model of any size needs no memory. */
  planTraining(
    config: NativeModelConfig,
    options: NativeModelOptions,
    training: NativeTrainingOptions,
  ): NativeMemoryPlan & { readonly parameterCount: number; readonly adapterParameterCount: number };
  openTokenData(directory: string): NativeTokenData;
  /** Checks every offset and size once. MDS_INVALID where the file is not what the index says. */
  openTokenShard(shard: NativeTokenShard): NativeTokenText;
  /** The permutation of one epoch, for the shared test vectors. */
  dataOrder(request: {
    readonly windowCount: number;
    readonly seed: number;
    readonly epoch: number;
    readonly from: number;
    readonly to: number;
  }): Float64Array;
  createTokenizerTrainer(options: {
    readonly maxWordBytes?: number;
    readonly type?: "byte-bpe" | "wordpiece" | "unigram";
    /** WordPiece alone: capitals and accents go. */
    readonly lowercase?: boolean;
    readonly maxMemoryBytes?: number;
    readonly threads: number;
  }): NativeTokenizerTrainer;
  loadTokenizer(file: string, options?: { readonly roles?: NativeTokenRoles }): NativeTokenizer;
  /** The text of a tokenizer.json; the source names it in messages. */
  tokenizerFromJson(json: string, source: string): NativeTokenizer;
  /** A .model file of SentencePiece, unigram or bpe. */
  loadSentencePiece(file: string): NativeTokenizer;
  /** fastBPE's codes and fairseq's dictionary; by default Moses cuts the words, as for BioGPT. */
  loadFastBpe(codesFile: string, dictionaryFile: string, options?: { readonly moses?: boolean }): NativeTokenizer;
  /** BERT's; what the options leave open follows from the pieces. */
  loadVocabTxt(
    file: string,
    options?: {
      readonly lowercase?: boolean;
      readonly stripAccents?: boolean;
      readonly handleChineseChars?: boolean;
      readonly roles?: NativeTokenRoles;
    },
  ): NativeTokenizer;
  loadVocabAndMerges(vocabFile: string, mergesFile: string): NativeTokenizer;
  tokenizerFromRanks(tokens: readonly Uint8Array[], specialTokens: Readonly<Record<string, number>>): NativeTokenizer;
  readSafetensorsHeader(file: string): NativeSafetensorsHeader;
  /** Headers only, of any size of model: a folder, a file or an index as loadWeights takes it, or a GGUF. */
  readTensorHeaders(path: string): NativeTensorHeaders;
  /** By the system's libzstd, off this thread; ZSTD_NOT_FOUND where there is none. */
  compressZstd(bytes: Uint8Array, level: number): Promise<Uint8Array>;
  /** MDS_INVALID for what is damaged, or unpacks to more than `largestBytes`. */
  decompressZstd(bytes: Uint8Array, largestBytes: number): Promise<Uint8Array>;
  /** XXH64 with seed 0, as 16 hexadecimal digits. */
  xxh64(bytes: Uint8Array): string;
}

const ADDON_PATH_IN_REPOSITORY = path.join("build", "native", "binding", "assay.node");

/** Bundles may lie anywhere in the repository, so its root is the nearest folder above that holds the native sources. */
function repositoryRoots(): readonly string[] {
  const roots: string[] = [];
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (folder !== path.dirname(folder)) {
    if (existsSync(path.join(folder, "native", "CMakeLists.txt"))) {
      roots.push(folder);
    }
    folder = path.dirname(folder);
  }
  return roots;
}

/** Where the addon may lie, in the order tried. Electron alone sets process.resourcesPath. */
export function addonCandidates(): readonly string[] {
  const override = process.env["ASSAY_ADDON"];
  if (override !== undefined && override !== "") {
    return [path.resolve(override)];
  }
  const resourcesPath = (process as { readonly resourcesPath?: string }).resourcesPath;
  return [
    ...repositoryRoots().map((root) => path.join(root, ADDON_PATH_IN_REPOSITORY)),
    ...(resourcesPath === undefined ? [] : [path.join(resourcesPath, "native", "assay.node")]),
  ];
}

/**
 * OpenMP's threads spin for milliseconds while they wait for each other, which costs a factor of ten as soon as another
 * program wants a core (measured on two busy cores: 1 400 tokens a second against 16 600). A short spin, then sleep, is
 * nearly as fast on an idle machine. The library reads this when it is loaded; what the user has set stays.
 */
function waitPolitely(): void {
  if (process.env["OMP_WAIT_POLICY"] === undefined) {
    process.env["GOMP_SPINCOUNT"] ??= "2000";
  }
}

let loaded: NativeAddon | undefined;

/** Loads the native engine once a process. */
export function loadAddon(): NativeAddon {
  if (loaded !== undefined) {
    return loaded;
  }
  const candidates = addonCandidates();
  const file = candidates.find((candidate) => existsSync(candidate));
  if (file === undefined) {
    const looked = candidates.length === 0 ? "" : ` (looked for ${candidates.join(" and ")})`;
    throw new AppError("ADDON_NOT_BUILT", `The native engine is not built${looked}; run "npm run build:native".`);
  }
  waitPolitely();
  try {
    // as: a native module has no types of its own; native/binding implements NativeAddon and the integration tests hold it to that.
    loaded = createRequire(import.meta.url)(file) as NativeAddon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError(
      "ADDON_NOT_BUILT",
      `Cannot load the native engine ${file}: ${reason}; build it again with "npm run build:native".`,
      { cause },
    );
  }
  return loaded;
}
