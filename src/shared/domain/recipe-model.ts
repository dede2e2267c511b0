// The tensors of each model family as Hugging Face names and shapes them, from the shape alone: what is counted, what a
// freeze pattern can match, which modules LoRA can sit on. The engine lists the same ones; a test compares the two.
import type { Recipe } from "./recipe.ts";

export type ModelFamily = "gpt2" | "bert" | "megatron_bert";

/** The shape of a model; the engine's own configuration is one. */
export type ModelShape = {
  readonly family: ModelFamily;
  readonly head: string;
  readonly vocabSize: number;
  /** Rows of the position embedding. */
  readonly maxSeqLen: number;
  readonly nLayers: number;
  readonly dModel: number;
  readonly dInner: number;
  readonly typeVocabSize: number;
  readonly labels: number;
};

export type TensorShape = { readonly name: string; readonly shape: readonly number[] };

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

function norm(name: string, width: number): readonly TensorShape[] {
  return [
    { name: `${name}.weight`, shape: [width] },
    { name: `${name}.bias`, shape: [width] },
  ];
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

function blockNorms(shape: ModelShape, layer: number): readonly TensorShape[] {
  const names: Readonly<Record<ModelFamily, readonly string[]>> = {
    gpt2: [`transformer.h.${layer}.ln_1`, `transformer.h.${layer}.ln_2`],
    bert: [`bert.encoder.layer.${layer}.attention.output.LayerNorm`, `bert.encoder.layer.${layer}.output.LayerNorm`],
    megatron_bert: [`bert.encoder.layer.${layer}.attention.ln`, `bert.encoder.layer.${layer}.ln`],
  };
  return names[shape.family].flatMap((name) => norm(name, shape.dModel));
}

function linear(name: string, outputs: number, inputs: number): readonly TensorShape[] {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs] },
    { name: `${name}.bias`, shape: [outputs] },
  ];
}

function headTensors(shape: ModelShape): readonly TensorShape[] {
  const { head, dModel: width, vocabSize, labels, family } = shape;
  switch (head) {
    case "masked-lm":
    case "pretraining":
      return [
        { name: "cls.predictions.bias", shape: [vocabSize] },
        ...linear("cls.predictions.transform.dense", width, width),
        ...norm("cls.predictions.transform.LayerNorm", width),
        ...(head === "pretraining" ? linear("cls.seq_relationship", 2, width) : []),
      ];
    case "sequence-classification":
      return family === "gpt2"
        ? [{ name: "score.weight", shape: [labels, width] }]
        : linear("classifier", labels, width);
    case "token-classification":
      return linear("classifier", labels, width);
    case "multiple-choice":
      return linear("classifier", 1, width);
    case "span-qa":
      return linear("qa_outputs", 2, width);
    default:
      return [];
  }
}

const pooledHeads: ReadonlySet<string> = new Set(["pretraining", "multiple-choice", "sequence-classification"]);

/** Every tensor, a tied one once. Linear weights are (in, out) in GPT-2 and (out, in) in BERT. */
export function tensorsOf(shape: ModelShape): readonly TensorShape[] {
  const { family, dModel: width } = shape;
  const isGpt2 = family === "gpt2";
  const embeddings: readonly TensorShape[] = isGpt2
    ? [
        { name: "transformer.wte.weight", shape: [shape.vocabSize, width] },
        { name: "transformer.wpe.weight", shape: [shape.maxSeqLen, width] },
      ]
    : [
        { name: "bert.embeddings.word_embeddings.weight", shape: [shape.vocabSize, width] },
        { name: "bert.embeddings.position_embeddings.weight", shape: [shape.maxSeqLen, width] },
        { name: "bert.embeddings.token_type_embeddings.weight", shape: [shape.typeVocabSize, width] },
        ...(family === "bert" ? norm("bert.embeddings.LayerNorm", width) : []),
      ];
  const blocks = [
    ...linearModules(shape).flatMap(({ name, inputs, outputs }) => [
      { name: `${name}.weight`, shape: isGpt2 ? [inputs, outputs] : [outputs, inputs] },
      { name: `${name}.bias`, shape: [outputs] },
    ]),
    ...Array.from({ length: shape.nLayers }, (_, layer) => blockNorms(shape, layer)).flat(),
  ];
  const last = isGpt2
    ? norm("transformer.ln_f", width)
    : family === "megatron_bert"
      ? norm("bert.encoder.ln", width)
      : [];
  const pooler = !isGpt2 && pooledHeads.has(shape.head) ? linear("bert.pooler.dense", width, width) : [];
  return [...embeddings, ...blocks, ...last, ...pooler, ...headTensors(shape)];
}

export function elementCount(tensors: readonly TensorShape[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
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

/** How many numbers are trained, of a shape that is known. */
export function trainableCount(shape: ModelShape, { lora, freeze }: Pick<Recipe["model"], "lora" | "freeze">): number {
  if (lora !== undefined) {
    return loraModules(shape, lora.targets ?? defaultLoraTargets[shape.family]).reduce(
      (sum, { inputs, outputs }) => sum + lora.rank * (inputs + outputs),
      0,
    );
  }
  return elementCount(tensorsOf(shape).filter(({ name }) => !matchesAny(name, freeze)));
}
