// Every tensor a model has, by family and head: names and shapes as Transformers saves them, each tied one once. What a
// file holds is compared with this before any weight is read, and the exact number of parameters is its sum.
import { assertNever } from "../errors.ts";

export type ModelFamily = "gpt2" | "bert" | "megatron_bert";

export type ModelHead =
  | "causal-lm"
  | "masked-lm"
  | "pretraining"
  | "multiple-choice"
  | "sequence-classification"
  | "token-classification"
  | "span-qa";

/** The shape of a model; the engine's own configuration is one. */
export type ModelShape = {
  readonly family: ModelFamily;
  readonly head: ModelHead;
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

function affine(name: string, width: number): readonly TensorShape[] {
  return [
    { name: `${name}.weight`, shape: [width] },
    { name: `${name}.bias`, shape: [width] },
  ];
}

function matrix(name: string, rows: number, columns: number, bias: number): readonly TensorShape[] {
  return [
    { name: `${name}.weight`, shape: [rows, columns] },
    { name: `${name}.bias`, shape: [bias] },
  ];
}

/** Conv1D, (in, out). */
function conv1d(name: string, input: number, output: number): readonly TensorShape[] {
  return matrix(name, input, output, output);
}

/** nn.Linear, (out, in). */
function linear(name: string, input: number, output: number): readonly TensorShape[] {
  return matrix(name, output, input, output);
}

function layers(count: number, ofLayer: (index: number) => readonly TensorShape[]): readonly TensorShape[] {
  return Array.from({ length: count }, (_, index) => ofLayer(index)).flat();
}

function gpt2Body({ vocabSize, maxSeqLen, nLayers, dModel: d, dInner }: ModelShape): readonly TensorShape[] {
  return [
    { name: "transformer.wte.weight", shape: [vocabSize, d] },
    { name: "transformer.wpe.weight", shape: [maxSeqLen, d] },
    ...layers(nLayers, (index) => {
      const block = `transformer.h.${index}`;
      return [
        ...affine(`${block}.ln_1`, d),
        ...conv1d(`${block}.attn.c_attn`, d, 3 * d),
        ...conv1d(`${block}.attn.c_proj`, d, d),
        ...affine(`${block}.ln_2`, d),
        ...conv1d(`${block}.mlp.c_fc`, d, dInner),
        ...conv1d(`${block}.mlp.c_proj`, dInner, d),
      ];
    }),
    ...affine("transformer.ln_f", d),
  ];
}

function bertBody(config: ModelShape): readonly TensorShape[] {
  const { family, head, vocabSize, maxSeqLen, typeVocabSize, nLayers, dModel: d, dInner } = config;
  // Megatron's order puts a norm before each branch and one at the end, and none after the embeddings.
  const isMegatron = family === "megatron_bert";
  const hasPooler = head === "pretraining" || head === "multiple-choice" || head === "sequence-classification";
  return [
    { name: "bert.embeddings.word_embeddings.weight", shape: [vocabSize, d] },
    { name: "bert.embeddings.position_embeddings.weight", shape: [maxSeqLen, d] },
    { name: "bert.embeddings.token_type_embeddings.weight", shape: [typeVocabSize, d] },
    ...(isMegatron ? [] : affine("bert.embeddings.LayerNorm", d)),
    ...layers(nLayers, (index) => {
      const block = `bert.encoder.layer.${index}`;
      return [
        ...(isMegatron ? affine(`${block}.attention.ln`, d) : []),
        ...["query", "key", "value"].flatMap((part) => linear(`${block}.attention.self.${part}`, d, d)),
        ...linear(`${block}.attention.output.dense`, d, d),
        ...affine(isMegatron ? `${block}.ln` : `${block}.attention.output.LayerNorm`, d),
        ...linear(`${block}.intermediate.dense`, d, dInner),
        ...linear(`${block}.output.dense`, dInner, d),
        ...(isMegatron ? [] : affine(`${block}.output.LayerNorm`, d)),
      ];
    }),
    ...(isMegatron ? affine("bert.encoder.ln", d) : []),
    ...(hasPooler ? linear("bert.pooler.dense", d, d) : []),
  ];
}

function headTensors({ family, head, vocabSize, dModel: d, labels }: ModelShape): readonly TensorShape[] {
  switch (head) {
    case "causal-lm":
      return [];
    case "masked-lm":
    case "pretraining":
      return [
        ...linear("cls.predictions.transform.dense", d, d),
        ...affine("cls.predictions.transform.LayerNorm", d),
        { name: "cls.predictions.bias", shape: [vocabSize] },
        ...(head === "pretraining" ? linear("cls.seq_relationship", d, 2) : []),
      ];
    case "multiple-choice":
      return linear("classifier", d, 1);
    case "sequence-classification":
      return family === "gpt2" ? [{ name: "score.weight", shape: [labels, d] }] : linear("classifier", d, labels);
    case "token-classification":
      return linear("classifier", d, labels);
    case "span-qa":
      return linear("qa_outputs", d, 2);
    default:
      return assertNever(head);
  }
}

/** In no particular order. */
export function modelTensors(config: ModelShape): readonly TensorShape[] {
  return [...(config.family === "gpt2" ? gpt2Body(config) : bertBody(config)), ...headTensors(config)];
}

/** Whether a tensor belongs to the head, which a bare model lacks. */
export function isHeadTensor(config: ModelShape, name: string): boolean {
  return (
    name === "bert.pooler.dense.weight" ||
    name === "bert.pooler.dense.bias" ||
    headTensors(config).some((each) => each.name === name)
  );
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The exact number of parameters, each tied one counted once. */
export function parameterCount(config: ModelShape): number {
  return modelTensors(config).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}
