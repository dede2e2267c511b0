// What a recipe says of the inside of a model, from its shape alone: the head of an objective, the linear layers LoRA can
// sit on, the tensors a freeze pattern matches, and how many numbers are trained.
import { elementCount, type ModelFamily, type ModelShape, modelTensors, type TensorShape } from "./model-tensors.ts";
import type { Recipe } from "./recipe.ts";

/** A linear layer, by the name of its module. */
export type LinearModule = { readonly name: string; readonly inputs: number; readonly outputs: number };

/** Token types of a BERT: the first and the second text. */
export const BERT_TOKEN_TYPES = 2;

/** PEFT's own choice where `target_modules` is left open. */
export const defaultLoraTargets: Readonly<Record<ModelFamily, readonly string[]>> = {
  gpt2: ["c_attn"],
  bert: ["query", "value"],
  megatron_bert: ["query", "value"],
};

export function isCausal(family: ModelFamily): boolean {
  return family === "gpt2";
}

/** The head that an objective trains. */
export function headOf(objective: Recipe["objective"]["name"]): "causal-lm" | "masked-lm" | "pretraining" {
  return objective === "clm" ? "causal-lm" : objective === "mlm" ? "masked-lm" : "pretraining";
}

/** The linear layers inside the blocks, in order. */
export function linearModules(shape: ModelShape): readonly LinearModule[] {
  const { dModel: width, dInner: inner } = shape;
  return Array.from({ length: shape.nLayers }, (_, layer): readonly LinearModule[] => {
    if (shape.family === "gpt2") {
      const at = `transformer.h.${layer}`;
      return [
        { name: `${at}.attn.c_attn`, inputs: width, outputs: 3 * width },
        { name: `${at}.attn.c_proj`, inputs: width, outputs: width },
        { name: `${at}.mlp.c_fc`, inputs: width, outputs: inner },
        { name: `${at}.mlp.c_proj`, inputs: inner, outputs: width },
      ];
    }
    const at = `bert.encoder.layer.${layer}`;
    return [
      ...["query", "key", "value"].map((part) => ({
        name: `${at}.attention.self.${part}`,
        inputs: width,
        outputs: width,
      })),
      { name: `${at}.attention.output.dense`, inputs: width, outputs: width },
      { name: `${at}.intermediate.dense`, inputs: width, outputs: inner },
      { name: `${at}.output.dense`, inputs: inner, outputs: width },
    ];
  }).flat();
}

/** Whether a LoRA target names a module, as PEFT matches: the whole name, or its end after a dot. */
export function isLoraTarget(module: string, target: string): boolean {
  return module === target || module.endsWith(`.${target}`);
}

export function loraModules(shape: ModelShape, targets: readonly string[]): readonly LinearModule[] {
  return linearModules(shape).filter(({ name }) => targets.some((target) => isLoraTarget(name, target)));
}

/** A glob over tensor names: `*` is any run of characters, `?` one. */
export function globPattern(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll(/\*+/g, ".*").replaceAll("?", ".")}$`);
}

export function matchesAny(name: string, globs: readonly string[]): boolean {
  return globs.some((glob) => globPattern(glob).test(name));
}

/** A head of a few outputs, which has nothing to start from and is trained beside LoRA. */
function isSmallHead(name: string): boolean {
  return /^(cls\.seq_relationship|classifier|score|qa_outputs)\./.test(name);
}

function countOf(tensors: readonly TensorShape[]): number {
  return tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** Numbers of the adapters alone. */
export function adapterCount(shape: ModelShape, rank: number, targets: readonly string[]): number {
  return loraModules(shape, targets).reduce((sum, { inputs, outputs }) => sum + rank * (inputs + outputs), 0);
}

/** How many numbers are trained, of a shape that is known. */
export function trainableCount(
  shape: ModelShape,
  { lora, freeze }: { readonly lora?: Recipe["model"]["lora"]; readonly freeze: readonly string[] },
): number {
  const tensors = modelTensors(shape);
  return lora === undefined
    ? countOf(tensors.filter(({ name }) => !matchesAny(name, freeze)))
    : adapterCount(shape, lora.rank, lora.targets ?? defaultLoraTargets[shape.family]) +
        countOf(tensors.filter(({ name }) => isSmallHead(name)));
}
