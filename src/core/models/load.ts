// A model one can use: a checkpoint folder, a run's newest whole checkpoint, a PEFT adapter with its base, a file of
// weights with its config.json beside, or a GGUF; with its tokenizer where it has one.
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Device } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import {
  loadAddon,
  type NativeHead,
  type NativeLora,
  type NativeModel,
  type NativeModelConfig,
  type NativeTokenizer,
  type NativeWeightType,
} from "../engine/addon.ts";
import { resolveDevice } from "../engine/device.ts";
import { findRunCheckpoint } from "../recipe/init-from.ts";
import { loadTokenizer } from "../tokenizer/load.ts";
import { isAdapterFolder, readAdapterFolder } from "./adapter.ts";
import { configOfGguf, huggingFaceName, specialIdsOfGguf, tokenizerJsonOfGguf } from "./gguf/gpt2.ts";
import { type GgufHeader, readGgufHeader, readGgufTensor } from "./gguf/reader.ts";
import type { ConfigJson, SpecialIds } from "./hugging-face/config-fields.ts";
import { type ModelFolder, readModelFolder, weightsName, writeJson } from "./hugging-face.ts";
import { modelTensors } from "./tensors.ts";
import { transposed } from "./transpose.ts";

export type OpenedModel = {
  /** The caller disposes it. */
  readonly model: NativeModel;
  readonly config: NativeModelConfig;
  /** Null where none lies with the model, or one that the engine cannot open; `tokenizerProblem` says which. */
  readonly tokenizer: NativeTokenizer | null;
  readonly tokenizerProblem: AppError | null;
  readonly lora: NativeLora | null;
  readonly labels: readonly string[] | null;
  readonly special: SpecialIds;
  /** config.json as it stands; null for a GGUF. */
  readonly json: ConfigJson | null;
  /** The folder with the model's small files; the one a GGUF lies in. */
  readonly directory: string;
  /** The folder or file with the weights, or with the adapter. */
  readonly source: string;
  /** The base under an adapter. */
  readonly base: string | null;
  /** Tensors of the file that the model has no place for. */
  readonly unexpected: readonly string[];
};

export type LoadedModel = OpenedModel & { readonly tokenizer: NativeTokenizer };

export type LoadOptions = {
  readonly workspace: string;
  readonly threads?: number;
  /** By default the processor; `auto` the first GPU that can be used. */
  readonly device?: Device | "auto";
  /** Of linear weights and the token embedding. */
  readonly weights?: NativeWeightType;
  /** Another head than the model's own, which then starts untrained. */
  readonly head?: NativeHead;
};

async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null))?.isFile() ?? false;
}

/** The folder that `source` names: itself, the checkpoint of RUN@STEP, or the newest of RUN (directory, id or name). */
export async function findModel(source: string, workspace: string): Promise<string> {
  const folder = path.resolve(source);
  if ((await isFile(path.join(folder, "config.json"))) || (await isAdapterFolder(folder))) {
    return folder;
  }
  try {
    return (await findRunCheckpoint(source, workspace)).folder;
  } catch (error) {
    if (error instanceof AppError && error.code === "RUN_NOT_FOUND") {
      throw new AppError(
        "CHECKPOINT_NOT_FOUND",
        `"${source}" is neither a folder with config.json and ${weightsName}, nor a file of weights, nor a run in ${workspace}; name one of these, or RUN@STEP.`,
        { cause: error },
      );
    }
    throw error;
  }
}

/** Divides the query weights of layer i by i + 1, which gives the scores that `scale_attn_by_inverse_layer_idx` asks for. */
async function foldInverseLayerScaling(model: NativeModel, config: NativeModelConfig): Promise<void> {
  const width = config.dModel;
  for (let layer = 1; layer < config.nLayers; layer += 1) {
    for (const part of ["weight", "bias"]) {
      const name = `transformer.h.${layer}.attn.c_attn.${part}`;
      const values = await model.readTensor(name);
      for (let row = 0; row < values.length; row += 3 * width) {
        for (let column = row; column < row + width; column += 1) {
          values[column] = (values[column] ?? 0) / (layer + 1);
        }
      }
      await model.writeTensor(name, values);
    }
  }
}

/**
 * Loads a folder's or file's weights into a model made after it, and puts into them what config.json asks for besides.
 * Whoever takes up a foreign model calls this, not the engine's loadWeights.
 */
export async function loadWeightsInto(
  model: NativeModel,
  weights: string,
  folder: Pick<ModelFolder, "config" | "hasHead" | "scalesByInverseLayer">,
): Promise<{ readonly unexpected: readonly string[] }> {
  const single = path.join(weights, weightsName);
  const { unexpected } = await model.loadWeights((await isFile(single)) ? single : weights, {
    allowMissingHead: !folder.hasHead,
  });
  if (folder.scalesByInverseLayer) {
    await foldInverseLayerScaling(model, folder.config);
  }
  return { unexpected };
}

async function loadGgufInto(
  model: NativeModel,
  config: NativeModelConfig,
  header: GgufHeader,
): Promise<readonly string[]> {
  const wanted = new Map(modelTensors(config).map(({ name, shape }) => [name, shape]));
  const unexpected: string[] = [];
  for (const tensor of header.tensors) {
    const mapped = huggingFaceName(tensor.name);
    if (mapped?.name === "lm_head.weight") {
      continue;
    }
    const shape = mapped === null ? undefined : wanted.get(mapped.name);
    if (mapped === null || shape === undefined) {
      unexpected.push(tensor.name);
      continue;
    }
    const found = mapped.isTransposed ? tensor.shape.toReversed() : tensor.shape;
    if (found.join() !== shape.join()) {
      throw new AppError(
        "CHECKPOINT_MISMATCH",
        `${header.file}: the tensor ${tensor.name} has the shape (${found.join(", ")}) instead of (${shape.join(", ")}).`,
      );
    }
    const values = readGgufTensor(header, tensor);
    const [rows = 1, columns = 1] = tensor.shape;
    await model.writeTensor(mapped.name, mapped.isTransposed ? transposed(values, rows, columns) : values);
    wanted.delete(mapped.name);
  }
  const [missing] = wanted.keys();
  if (missing !== undefined) {
    throw new AppError(
      "CHECKPOINT_MISMATCH",
      `${header.file} lacks the tensor for ${missing}; export the model again.`,
    );
  }
  return unexpected;
}

async function tokenizerOfGguf(header: GgufHeader): Promise<NativeTokenizer> {
  const folder = await mkdtemp(path.join(tmpdir(), "assay-gguf-"));
  try {
    const file = path.join(folder, "tokenizer.json");
    await writeJson(file, tokenizerJsonOfGguf(header));
    return await loadTokenizer(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type OpenedTokenizer = Pick<OpenedModel, "tokenizer" | "tokenizerProblem">;

/** Opens the first of the tokenizers that is there; a model may be converted or described without one. */
async function openTokenizerFor(
  config: NativeModelConfig,
  places: readonly (() => Promise<NativeTokenizer>)[],
): Promise<OpenedTokenizer> {
  let problem: AppError | null = null;
  for (const open of places) {
    try {
      const tokenizer = await open();
      if (tokenizer.vocabSize <= config.vocabSize) {
        return { tokenizer, tokenizerProblem: null };
      }
      problem = new AppError(
        "TOKENIZER_MODEL_MISMATCH",
        `Tokenizer and model do not fit together: ${tokenizer.vocabSize} tokens, but ${config.vocabSize} embedding rows.`,
      );
    } catch (error) {
      if (!(error instanceof AppError)) {
        throw error;
      }
      problem ??= error;
    }
  }
  return { tokenizer: null, tokenizerProblem: problem };
}

async function openGguf(file: string, options: LoadOptions): Promise<OpenedModel> {
  const header = readGgufHeader(file);
  const config = configOfGguf(header);
  const addon = loadAddon();
  const model = addon.createModel(config, modelOptions(options, null));
  try {
    return {
      ...(await openTokenizerFor(config, [() => tokenizerOfGguf(header)])),
      unexpected: await loadGgufInto(model, config, header),
      model,
      config,
      lora: null,
      labels: null,
      special: specialIdsOfGguf(header),
      json: null,
      directory: path.dirname(file),
      source: file,
      base: null,
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function modelOptions(options: LoadOptions, lora: NativeLora | null) {
  const machine = loadAddon().machine();
  return {
    device: resolveDevice(options.device ?? "cpu", machine.cuda).device,
    threads: options.threads ?? machine.physicalCores,
    ...(options.weights === undefined ? {} : { weights: options.weights }),
    ...(lora === null ? {} : { lora }),
  };
}

/** Opens what `source` names, with or without a tokenizer. */
export async function openModel(source: string, options: LoadOptions): Promise<OpenedModel> {
  const isSingleFile = await isFile(source);
  const own = isSingleFile ? path.resolve(source) : await findModel(source, options.workspace);
  if (own.endsWith(".gguf")) {
    return openGguf(own, options);
  }
  const directory = isSingleFile ? path.dirname(own) : own;
  const adapter = !isSingleFile && (await isAdapterFolder(own)) ? await readAdapterFolder(own) : null;
  const base = adapter === null ? own : await findModel(adapter.base, options.workspace);
  const folder = await readModelFolder(
    adapter === null ? directory : base,
    options.head === undefined ? {} : { head: options.head },
  );
  const model = loadAddon().createModel(folder.config, modelOptions(options, adapter?.lora ?? null));
  try {
    const { unexpected } = await loadWeightsInto(model, base, folder);
    if (adapter !== null) {
      await model.loadAdapter(adapter.weights);
    }
    const places = adapter === null ? [directory] : [directory, base];
    return {
      ...(await openTokenizerFor(
        folder.config,
        places.map((place) => () => loadTokenizer(place)),
      )),
      model,
      unexpected,
      config: folder.config,
      lora: adapter?.lora ?? null,
      labels: folder.labels,
      special: folder.special,
      json: folder.json,
      directory,
      source: own,
      base: adapter === null ? null : base,
    };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** Refuses one that has no tokenizer, and frees it then. */
function withTokenizer(opened: OpenedModel): LoadedModel {
  const { tokenizer } = opened;
  if (tokenizer === null) {
    opened.model.dispose();
    throw opened.tokenizerProblem ?? new AppError("TOKENIZER_NOT_FOUND", `${opened.source} has no tokenizer.`);
  }
  return { ...opened, tokenizer };
}

/** Opens a model with its tokenizer, whatever its head. */
export async function loadModel(source: string, options: LoadOptions): Promise<LoadedModel> {
  return withTokenizer(await openModel(source, options));
}

/** Opens a model that continues text; one with another head is refused. */
export async function loadGenerator(source: string, options: LoadOptions): Promise<LoadedModel> {
  const opened = await openModel(source, options);
  const { family, head } = opened.config;
  if (head !== "causal-lm") {
    opened.model.dispose();
    throw new AppError(
      "NOT_SUPPORTED",
      `${opened.source} is a ${family} model with a ${head} head, which continues no text; name a GPT-2 language model.`,
    );
  }
  return withTokenizer(opened);
}
