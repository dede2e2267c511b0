// The small files of a model folder as Hugging Face Transformers reads and writes them: config.json by family,
// generation_config.json and what tells it how to use the tokenizer. Weights are the engine's matter.
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { END_OF_TEXT } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import type { NativeFamily, NativeHead, NativeModelConfig } from "../engine/addon.ts";
import {
  headOfArchitecture,
  headOfTensors,
  headsOf,
  labelCountOfTensors,
  languageHead,
  modelTypes,
} from "./hugging-face/architectures.ts";
import { bertConfig, readBertConfig } from "./hugging-face/bert-config.ts";
import { type ConfigJson, hasLabels, labelsOf, type SpecialIds, specialIds } from "./hugging-face/config-fields.ts";
import { gpt2Config, readGpt2Config } from "./hugging-face/gpt2-config.ts";
import { readTensorHeaders, type TensorHeader } from "./tensor-headers.ts";

export const weightsName = "model.safetensors";

/** What a model folder says of itself. */
export type ModelFolder = {
  readonly config: NativeModelConfig;
  /** The class it was saved as; null where it does not say. */
  readonly architecture: string | null;
  /** False for a bare model: its head is not in the file and starts untrained. */
  readonly hasHead: boolean;
  /** The labels' names by their number, where the head has labels and the model names them. */
  readonly labels: readonly string[] | null;
  readonly special: SpecialIds;
  /** Attention scores of layer i are also divided by i + 1, as in BioMedLM. */
  readonly scalesByInverseLayer: boolean;
  /** config.json as it stands. */
  readonly json: ConfigJson;
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function readConfigJson(folder: string): Promise<ConfigJson> {
  const file = path.join(folder, "config.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new AppError("CHECKPOINT_NOT_FOUND", `${folder} is not a model: it has no config.json that can be read.`, {
      cause,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError("JSON_INVALID", `${file} is not JSON; export the model again.`, { cause });
  }
  if (!isObject(value)) {
    throw new AppError("JSON_INVALID", `${file} holds no object; export the model again.`);
  }
  return value;
}

/** The family by model_type, or, in old files that lack it, by the class or the spelling of the fields. */
function familyOf(json: ConfigJson, architecture: string | null, file: string): NativeFamily {
  const type = json["model_type"];
  const families = Object.keys(modelTypes).filter((name): name is NativeFamily => Object.hasOwn(modelTypes, name));
  if (typeof type === "string") {
    const family = families.find((each) => modelTypes[each] === type);
    if (family === undefined) {
      throw new AppError(
        "NOT_SUPPORTED",
        `${file} asks for model_type ${type}; the engine runs ${Object.values(modelTypes).join(", ")}.`,
      );
    }
    return family;
  }
  const byClass =
    architecture === null ? undefined : families.find((each) => headOfArchitecture(each, architecture) !== undefined);
  if (byClass !== undefined) {
    return byClass;
  }
  if ("n_embd" in json) {
    return "gpt2";
  }
  throw new AppError("JSON_INVALID", `${file} does not say what model it is: it has no model_type.`);
}

/** The class's head, or the one its tensors show; null for a bare model. */
function headOf(
  family: NativeFamily,
  architecture: string | null,
  file: string,
  tensors: () => readonly TensorHeader[],
): NativeHead | null {
  if (architecture === null) {
    return headOfTensors(family, tensors());
  }
  const head = headOfArchitecture(family, architecture);
  if (head === undefined) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${file} asks for the class ${architecture}; of this family the engine has ${headsOf(family).join(", ")}.`,
    );
  }
  return head ?? headOfTensors(family, tensors());
}

/**
 * Reads the config.json of a model folder. `head` chooses another head than the model's own, as fine-tuning does;
 * `tensors` spares reading the headers again. What the engine cannot run is NOT_SUPPORTED and says why.
 */
export async function readModelFolder(
  folder: string,
  options: { readonly head?: NativeHead; readonly tensors?: readonly TensorHeader[] } = {},
): Promise<ModelFolder> {
  const file = path.join(folder, "config.json");
  const json = await readConfigJson(folder);
  const named = Array.isArray(json["architectures"]) ? (json["architectures"] as unknown[])[0] : null;
  const architecture = typeof named === "string" ? named : null;
  const family = familyOf(json, architecture, file);
  let read = options.tensors;
  const tensors = (): readonly TensorHeader[] => {
    read ??= readTensorHeaders(folder).tensors;
    return read;
  };
  const own = headOf(family, architecture, file, tensors);
  const head = options.head ?? own ?? languageHead(family);
  if (!headsOf(family).includes(head)) {
    throw new AppError(
      "NOT_SUPPORTED",
      `A ${modelTypes[family]} model has no head for ${head}; it takes ${headsOf(family).join(", ")}.`,
    );
  }
  const isCountUnsaid = hasLabels(head) && json["id2label"] === undefined && json["num_labels"] === undefined;
  const labelsInTensors = isCountUnsaid && own === head ? labelCountOfTensors(tensors()) : null;
  const { config, fields } =
    family === "gpt2"
      ? readGpt2Config(json, file, head, labelsInTensors)
      : readBertConfig(family, json, file, head, labelsInTensors);
  return {
    config,
    architecture,
    hasHead: own === head,
    labels: hasLabels(head) ? labelsOf(fields, file) : null,
    special: specialIds(fields),
    scalesByInverseLayer: json["scale_attn_by_inverse_layer_idx"] === true,
    json,
  };
}

/** The model's shape alone. */
export async function readModelConfig(folder: string): Promise<NativeModelConfig> {
  return (await readModelFolder(folder)).config;
}

/** Ids that config.json names; null where the tokenizer lacks them. */
export type ModelTokens = { readonly endOfTextId: number | null; readonly padId: number | null };

/** The content of config.json. */
export function configJson(
  config: NativeModelConfig,
  tokens: ModelTokens,
  labels?: readonly string[] | null,
): Record<string, unknown> {
  return config.family === "gpt2" ? gpt2Config(config, tokens, labels) : bertConfig(config, tokens, labels);
}

export async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value, null, 2)}\n`);
}

async function isThere(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) !== null;
}

function tokenizerFiles(config: NativeModelConfig, endOfTextId: number | null): Readonly<Record<string, unknown>> {
  if (config.family !== "gpt2" && endOfTextId === null) {
    const special = {
      cls_token: "[CLS]",
      mask_token: "[MASK]",
      pad_token: "[PAD]",
      sep_token: "[SEP]",
      unk_token: "[UNK]",
    };
    return {
      "tokenizer_config.json": {
        clean_up_tokenization_spaces: true,
        model_max_length: config.maxSeqLen,
        ...special,
        tokenizer_class: "BertTokenizer",
      },
      "special_tokens_map.json": special,
    };
  }
  const special = { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT };
  return {
    "tokenizer_config.json": {
      add_prefix_space: false,
      clean_up_tokenization_spaces: false,
      model_max_length: config.maxSeqLen,
      ...special,
      tokenizer_class: "GPT2Tokenizer",
    },
    "special_tokens_map.json": special,
  };
}

/**
 * config.json, generation_config.json where the model generates, and what tells Transformers how to use the tokenizer's
 * files, unless the folder has that already (a foreign tokenizer brings its own).
 */
export async function writeModelFiles(
  folder: string,
  config: NativeModelConfig,
  endOfTextId: number | null,
  options: { readonly labels?: readonly string[] | null; readonly padId?: number | null } = {},
): Promise<void> {
  const tokens = { endOfTextId, padId: options.padId ?? null };
  await writeJson(path.join(folder, "config.json"), configJson(config, tokens, options.labels));
  if (config.head === "causal-lm") {
    await writeJson(path.join(folder, "generation_config.json"), {
      bos_token_id: endOfTextId,
      eos_token_id: endOfTextId,
    });
  }
  for (const [name, value] of Object.entries(tokenizerFiles(config, endOfTextId))) {
    if (!(await isThere(path.join(folder, name)))) {
      await writeJson(path.join(folder, name), value);
    }
  }
}
