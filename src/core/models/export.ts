// A model given away: safetensors as Transformers reads them, GGUF as llama.cpp does, or an adapter as PEFT does. What was
// written is read back and must say the same before anybody is told that it is done.
import { copyFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { ExportResult } from "#shared/domain/model";
import { AppError, assertNever } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import type { NativeLora, NativeModel, NativeTokenizer } from "../engine/addon.ts";
import { checkFreeDisk } from "../runs/checkpoints.ts";
import { asFileError, makeFolder } from "../runs/durable-file.ts";
import { writeAdapterFolder } from "./adapter.ts";
import { compareLogits, logitsOf, probeSequences } from "./compare-logits.ts";
import type { FloatType } from "./floats.ts";
import { ggufMetadata, planGguf } from "./gguf/gpt2.ts";
import { type GgufDataType, writeGguf } from "./gguf/writer.ts";
import { configJson, writeJson, writeModelFiles } from "./hugging-face.ts";
import { type LoadOptions, type OpenedModel, openModel } from "./load.ts";
import { writeSafetensors } from "./safetensors-writer.ts";
import { parameterCount, type TensorShape } from "./tensors.ts";
import { readTokenizerFacts } from "./tokenizer-facts.ts";
import { transposed } from "./transpose.ts";

export type ExportFormat = "safetensors" | "gguf" | "peft";
export type ExportType = FloatType | GgufDataType;

export type ExportRequest = {
  readonly source: string;
  readonly format: ExportFormat;
  readonly type: ExportType;
  /** A folder that is not there yet or is empty; for GGUF also a path that ends in .gguf. */
  readonly target: string;
  /** Of safetensors. Null: one file. */
  readonly shardBytes: number | null;
  /** Adds an adapter to the weights it sits on. */
  readonly mergeAdapter: boolean;
};

export type ExportProgress = { readonly phase: string; readonly done: number; readonly total: number | null };

type ExportOptions = LoadOptions & {
  readonly onProgress?: (progress: ExportProgress) => void;
  readonly signal?: CancelSignal;
};

/**
 * How far logits may be from the source's, over the largest logit. fp32 is exact but for the order of sums; a half rounds
 * to 11 bits, bf16 to 8, and q8_0 to 127 steps of the largest of 32 values, and the errors of many products add up.
 */
export const tolerances: Readonly<Record<ExportType, number>> = { f32: 1e-5, f16: 1e-2, bf16: 5e-2, q8_0: 1e-1 };

const bytesOfType: Readonly<Record<ExportType, number>> = { f32: 4, f16: 2, bf16: 2, q8_0: 34 / 32 };
const torchTypes: Readonly<Record<FloatType, string>> = { f32: "float32", f16: "float16", bf16: "bfloat16" };

const generationName = "generation_config.json";

const tokenizerFileNames = [
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
];

const typesOfFormat: Readonly<Record<ExportFormat, readonly ExportType[]>> = {
  safetensors: ["f32", "f16", "bf16"],
  gguf: ["f32", "f16", "q8_0"],
  peft: ["f32"],
};

/** Whether anything can come of the request, before a model is read for it. */
export function checkExportRequest(request: ExportRequest): void {
  const types = typesOfFormat[request.format];
  if (!types.includes(request.type)) {
    throw new AppError(
      "BAD_ARGUMENT",
      `${request.format} is written as ${types.join(", ")}, not as ${request.type}; choose one of these.`,
    );
  }
  if (request.shardBytes !== null && request.format !== "safetensors") {
    throw new AppError("BAD_ARGUMENT", `Only safetensors are written in several files; leave the size of one out.`);
  }
  if (request.mergeAdapter && request.format === "peft") {
    throw new AppError("BAD_ARGUMENT", "An adapter is either merged or given away by itself, not both.");
  }
}

async function isEmptyFolder(target: string): Promise<boolean> {
  const found = await stat(target).catch(() => null);
  return found === null || (found.isDirectory() && (await readdir(target)).length === 0);
}

function refuseFull(target: string): AppError {
  return new AppError("FILE_NOT_WRITABLE", `${target} is there already; name a folder or file that is not.`);
}

/** Copies the tokenizer's files as they are, or writes them where the model brings none as files (GGUF). */
async function writeTokenizerFiles(opened: OpenedModel, folder: string): Promise<void> {
  const places = [opened.directory, ...(opened.base === null ? [] : [opened.base])];
  for (const place of opened.json === null ? [] : places) {
    const names = (await readdir(place)).filter((name) => tokenizerFileNames.includes(name));
    if (names.some((name) => name === "tokenizer.json" || name.startsWith("vocab."))) {
      for (const name of names) {
        await copyFile(path.join(place, name), path.join(folder, name));
      }
      break;
    }
  }
  const hasJson = (await stat(path.join(folder, "tokenizer.json")).catch(() => null)) !== null;
  if (hasJson || opened.tokenizer === null) {
    return;
  }
  if ((await stat(path.join(folder, "vocab.json")).catch(() => null)) === null && opened.config.family === "gpt2") {
    await opened.tokenizer.saveVocabAndMerges(folder);
  }
  await opened.tokenizer.saveTokenizerJson(path.join(folder, "tokenizer.json"));
}

/** config.json: what the source says beside what the engine knows, so that nothing foreign is lost. */
async function writeConfigs(opened: OpenedModel, folder: string, type: FloatType): Promise<void> {
  const { config, special, json, tokenizer } = opened;
  const endOfTextId = special.eos ?? tokenizer?.endOfTextId ?? null;
  const padId = special.pad;
  if (tokenizer !== null) {
    await writeModelFiles(folder, config, endOfTextId, { labels: opened.labels, padId });
  }
  if (json !== null) {
    // How the source wants to be sampled is the source's own matter.
    await copyFile(path.join(opened.base ?? opened.directory, generationName), path.join(folder, generationName)).catch(
      () => undefined,
    );
  }
  const { _name_or_path: _name, transformers_version: _version, ...foreign } = json ?? {};
  const own = configJson(config, { endOfTextId, padId }, opened.labels);
  await writeJson(path.join(folder, "config.json"), {
    ...foreign,
    ...own,
    ...(special.bos === null ? {} : { bos_token_id: special.bos }),
    ...(padId === null ? {} : { pad_token_id: padId }),
    torch_dtype: torchTypes[type],
  });
}

/** Tokens that are no text, by id: the end of a text, and what the tokenizer's files declare special. */
async function specialTokens(opened: OpenedModel, tokenizer: NativeTokenizer): Promise<ReadonlyMap<number, string>> {
  const special = new Map<number, string>();
  const decoder = new TextDecoder();
  const places = [
    opened.json === null ? opened.source : opened.directory,
    ...(opened.base === null ? [] : [opened.base]),
  ];
  for (const place of places) {
    const facts = place.endsWith(".gguf") ? null : await readTokenizerFacts(place);
    for (const [content, id] of Object.entries(facts?.special ?? {})) {
      special.set(id, content);
    }
  }
  if (tokenizer.endOfTextId !== null) {
    special.set(tokenizer.endOfTextId, decoder.decode(tokenizer.tokenBytes(tokenizer.endOfTextId)));
  }
  return special;
}

/** The model's own tensors: what an adapter added is part of them by now. */
function wholeTensors(model: NativeModel): readonly TensorShape[] {
  return model.parameters().filter(({ name }) => !/\.lora_[AB]\.weight$/.test(name));
}

type Watch = Pick<Parameters<typeof writeGguf>[0], "onBytes" | "checkCancelled">;

async function writeGgufOf(opened: OpenedModel, file: string, type: GgufDataType, watch: Watch): Promise<void> {
  const { config, tokenizer, model } = opened;
  if (config.family !== "gpt2" || config.head !== "causal-lm") {
    throw new AppError(
      "NOT_SUPPORTED",
      `GGUF is written of GPT-2 language models; llama.cpp runs no ${config.family} with a ${config.head} head, so export safetensors.`,
    );
  }
  if (tokenizer === null) {
    throw (
      opened.tokenizerProblem ??
      new AppError(
        "TOKENIZER_NOT_FOUND",
        `A GGUF holds its tokenizer, and ${opened.source} has none; put it beside the model.`,
      )
    );
  }
  const special = await specialTokens(opened, tokenizer);
  const name = path.basename(opened.source).replace(/\.(gguf|safetensors|bin)$/, "");
  const tensors = planGguf(wholeTensors(model), type);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  await writeGguf({
    file,
    metadata: ggufMetadata({ config, tokenizer, special, name, type }),
    tensors,
    read: async (tensorName) => {
      const { source = "", isTransposed = false, shape: [rows = 1, columns = 1] = [] } = byName.get(tensorName) ?? {};
      const values = await model.readTensor(source);
      return isTransposed ? transposed(values, columns, rows) : values;
    },
    ...watch,
  });
}

/** GGUF is one file: the target itself, or `model.gguf` in the target folder. */
function ggufPath(target: string): string {
  return target.endsWith(".gguf") ? target : path.join(target, "model.gguf");
}

async function writeExport(request: ExportRequest, opened: OpenedModel, options: ExportOptions): Promise<string> {
  const target = path.resolve(request.target);
  const folder = request.format === "gguf" ? path.dirname(ggufPath(target)) : target;
  await makeFolder(folder);
  const needed = parameterCount(opened.config) * bytesOfType[request.type];
  await checkFreeDisk(folder, request.format === "peft" ? 0 : needed, `the export ${target}`);
  const watch: Watch = {
    onBytes: (done, total) => options.onProgress?.({ phase: "writing", done, total }),
    checkCancelled: () => {
      if (options.signal?.aborted === true) {
        throw new AppError("CANCELLED", `The export was cancelled; ${target} is not whole.`);
      }
    },
  };
  options.onProgress?.({ phase: "writing", done: 0, total: null });
  switch (request.format) {
    case "gguf": {
      // as: checkExportRequest lets only GGUF's own types pass.
      await writeGgufOf(opened, ggufPath(target), request.type as GgufDataType, watch);
      return ggufPath(target);
    }
    case "peft": {
      const { lora, base, config, model } = opened;
      if (lora === null || base === null) {
        throw new AppError(
          "NOT_SUPPORTED",
          `${opened.source} has no adapter; a PEFT folder is written of a model that was fine-tuned with LoRA.`,
        );
      }
      await writeAdapterFolder(target, model, { config, lora, base });
      await writeTokenizerFiles(opened, target);
      return target;
    }
    case "safetensors": {
      // as: checkExportRequest lets only floats pass.
      const type = request.type as FloatType;
      await writeTokenizerFiles(opened, target);
      await writeConfigs(opened, target, type);
      await writeSafetensors({
        folder: target,
        tensors: wholeTensors(opened.model),
        type,
        largestBytes: request.shardBytes,
        read: (name) => opened.model.readTensor(name),
        ...watch,
      });
      return target;
    }
    default:
      return assertNever(request.format);
  }
}

async function filesOf(place: string): Promise<ExportResult["files"]> {
  const isFolder = (await stat(place)).isDirectory();
  const names = isFolder ? (await readdir(place)).toSorted() : [path.basename(place)];
  const folder = isFolder ? place : path.dirname(place);
  return Promise.all(names.map(async (name) => ({ name, sizeBytes: (await stat(path.join(folder, name))).size })));
}

/** The tokenizer that was written must give the ids of the one it was written from. */
function checkTokenizer(
  source: OpenedModel,
  written: OpenedModel,
  sequences: readonly Int32Array[],
  place: string,
): void {
  if (source.tokenizer === null) {
    return;
  }
  const again = written.tokenizer === null ? [] : probeSequences(written.config, written.tokenizer);
  const differs = sequences.some((ids, index) => ids.join() !== again[index]?.join());
  if (differs) {
    throw new AppError(
      "EXPORT_DIFFERS",
      `The tokenizer in ${place} gives other ids than the one it was written from${written.tokenizerProblem === null ? "" : ` (${written.tokenizerProblem.message})`}; the files are left for you to look at, do not use them.`,
    );
  }
}

/** Exports, reads back, compares. EXPORT_DIFFERS leaves the files where they are, and says so. */
export async function exportModel(
  request: ExportRequest,
  options: ExportOptions,
): Promise<ExportResult & { readonly lora: NativeLora | null; readonly unexpected: readonly string[] }> {
  checkExportRequest(request);
  const target = path.resolve(request.target);
  const isGgufFile = request.format === "gguf" && target.endsWith(".gguf");
  if (isGgufFile ? (await stat(target).catch(() => null)) !== null : !(await isEmptyFolder(target))) {
    throw refuseFull(target);
  }
  options.onProgress?.({ phase: "reading the model", done: 0, total: null });
  const source = await openModel(request.source, options);
  let sequences: readonly Int32Array[];
  let expected: readonly Float32Array[];
  let place: string;
  try {
    if (source.lora !== null && request.format !== "peft") {
      if (!request.mergeAdapter) {
        throw new AppError(
          "BAD_ARGUMENT",
          `${source.source} is an adapter: merge it into its base (--merge-adapter), or export it by itself (--to peft).`,
        );
      }
      await source.model.mergeAdapter();
    }
    sequences = probeSequences(source.config, source.tokenizer);
    expected = await logitsOf(source.model, source.config, sequences);
    place = await writeExport(request, source, options);
  } catch (error) {
    throw asFileError(error, `write ${target}`);
  } finally {
    source.model.dispose();
  }
  options.onProgress?.({ phase: "reading it back", done: 0, total: null });
  const written = await openModel(place, options);
  try {
    checkTokenizer(source, written, sequences, place);
    const comparison = compareLogits(sequences, expected, await logitsOf(written.model, written.config, sequences));
    const tolerance = tolerances[request.type];
    if (!(comparison.maxDifference <= tolerance)) {
      throw new AppError(
        "EXPORT_DIFFERS",
        `${place} does not say what its source says: logits differ by ${comparison.maxDifference.toExponential(2)} of the largest, and ${request.type} may by ${tolerance}; the files are left for you to look at, do not use them.`,
        { details: { ...comparison, tolerance } },
      );
    }
    const { tokens, maxDifference, sameTopToken } = comparison;
    return {
      path: place,
      files: await filesOf(place),
      comparison: { tokens, maxDifference, tolerance, sameTopToken },
      lora: source.lora,
      unexpected: source.unexpected,
    };
  } finally {
    written.model.dispose();
  }
}
