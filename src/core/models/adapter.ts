// LoRA adapters as PEFT keeps them: a folder with adapter_config.json and adapter_model.safetensors, which names the base
// model it sits on. Weights are the engine's matter; here is the description, written and read.
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { AppError } from "#shared/errors";
import type { NativeHead, NativeLora, NativeModel, NativeModelConfig } from "../engine/addon.ts";
import { writeJson } from "./hugging-face.ts";
import { readTensorHeaders } from "./tensor-headers.ts";

export const adapterWeightsName = "adapter_model.safetensors";
const adapterConfigName = "adapter_config.json";

/** PEFT's word for the task; it has none for the other heads. */
const taskTypes: Partial<Readonly<Record<NativeHead, string>>> = {
  "causal-lm": "CAUSAL_LM",
  "sequence-classification": "SEQ_CLS",
  "token-classification": "TOKEN_CLS",
  "span-qa": "QUESTION_ANS",
};

const configSchema = z.object({
  peft_type: z.literal("LORA"),
  base_model_name_or_path: z.string().min(1),
  r: z.number().int().min(1),
  lora_alpha: z.number().gt(0),
  lora_dropout: z.number().min(0).lt(1).default(0),
  target_modules: z.array(z.string().min(1)).min(1),
  bias: z.string().default("none"),
  use_dora: z.boolean().nullish(),
  use_rslora: z.boolean().nullish(),
  rank_pattern: z.record(z.string(), z.unknown()).nullish(),
  alpha_pattern: z.record(z.string(), z.unknown()).nullish(),
  layers_to_transform: z.unknown().optional(),
});

export type AdapterFolder = {
  readonly lora: NativeLora;
  /** The base model's folder, absolute where it is one of this machine. */
  readonly base: string;
  readonly weights: string;
};

export async function isAdapterFolder(folder: string): Promise<boolean> {
  return (await stat(path.join(folder, adapterConfigName)).catch(() => null))?.isFile() ?? false;
}

/** The content of adapter_config.json. */
export function adapterConfig(options: {
  readonly config: Pick<NativeModelConfig, "family" | "head">;
  readonly lora: NativeLora;
  readonly base: string;
  /** Modules that are trained and saved whole, such as a classifier. */
  readonly wholeModules: readonly string[];
}): Readonly<Record<string, unknown>> {
  const { config, lora } = options;
  return {
    alpha_pattern: {},
    base_model_name_or_path: options.base,
    bias: "none",
    // Conv1D keeps its weights as (in, out), which PEFT calls fan_in_fan_out.
    fan_in_fan_out: config.family === "gpt2",
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: lora.alpha,
    lora_dropout: lora.dropout,
    modules_to_save: options.wholeModules.length === 0 ? null : options.wholeModules,
    peft_type: "LORA",
    r: lora.rank,
    rank_pattern: {},
    revision: null,
    target_modules: lora.targets,
    task_type: taskTypes[config.head] ?? null,
    use_dora: false,
    use_rslora: false,
  };
}

/** Modules in an adapter's file that are no LoRA: `base_model.model.score.weight` is `score`. */
export function wholeModulesOf(names: readonly string[]): readonly string[] {
  const modules = names
    .filter((name) => !/\.lora_(A|B)\.weight$/.test(name))
    .map((name) => name.replace(/^base_model\.model\./, "").replace(/\.(weight|bias)$/, ""));
  return [...new Set(modules)];
}

/** Writes the adapter of `model` into a folder that is there. `base` is where the model it sits on lies. */
export async function writeAdapterFolder(
  folder: string,
  model: Pick<NativeModel, "saveAdapter">,
  options: {
    readonly config: Pick<NativeModelConfig, "family" | "head">;
    readonly lora: NativeLora;
    readonly base: string;
  },
): Promise<void> {
  const weights = path.join(folder, adapterWeightsName);
  await model.saveAdapter(weights);
  const names = readTensorHeaders(weights).tensors.map(({ name }) => name);
  await writeJson(
    path.join(folder, adapterConfigName),
    adapterConfig({ ...options, wholeModules: wholeModulesOf(names) }),
  );
}

export async function readAdapterFolder(folder: string): Promise<AdapterFolder> {
  const file = path.join(folder, adapterConfigName);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new AppError("JSON_INVALID", `${file} is not JSON that can be read; save the adapter again.`, { cause });
  }
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new AppError(
      "NOT_SUPPORTED",
      `${file} is no LoRA the engine knows: ${issue?.path.join(".")}: ${issue?.message}.`,
    );
  }
  const config = parsed.data;
  const isFilled = (value: unknown): boolean => value !== null && value !== undefined && Object.keys(value).length > 0;
  const unsupported =
    config.use_dora === true
      ? "DoRA (use_dora)"
      : config.bias !== "none"
        ? `trained biases (bias: ${config.bias})`
        : isFilled(config.rank_pattern) || isFilled(config.alpha_pattern)
          ? "ranks that differ by layer (rank_pattern)"
          : isFilled(config.layers_to_transform)
            ? "some layers only (layers_to_transform)"
            : null;
  if (unsupported !== null) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${file} asks for ${unsupported}; the engine runs LoRA of one rank on named modules.`,
    );
  }
  const named = config.base_model_name_or_path;
  const beside = path.resolve(folder, named);
  const base = (await stat(beside).catch(() => null)) === null ? named : beside;
  return {
    lora: {
      rank: config.r,
      // Rank-stabilised LoRA scales by alpha / √r, plain LoRA by alpha / r.
      alpha: config.use_rslora === true ? config.lora_alpha * Math.sqrt(config.r) : config.lora_alpha,
      dropout: config.lora_dropout,
      targets: config.target_modules,
    },
    base,
    weights: path.join(folder, adapterWeightsName),
  };
}
