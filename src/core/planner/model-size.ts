// How large a model is: parameters, and floating-point operations a token. Exact for the tensors the engine has; a tied
// output layer is counted once.
import { elementCount, type ModelShape, tensorsOf } from "#shared/domain/recipe-model";

export function positionParameterCount(shape: Pick<ModelShape, "maxSeqLen" | "dModel">): number {
  return shape.maxSeqLen * shape.dModel;
}

export function modelParameterCount(shape: ModelShape): number {
  return elementCount(tensorsOf(shape));
}

/** Forward and backward: 6(N − position embeddings) + 12·L·d·T. */
export function trainingFlopsPerToken(shape: ModelShape, seqLen: number): number {
  const inProducts = modelParameterCount(shape) - positionParameterCount(shape);
  return 6 * inProducts + 12 * shape.nLayers * shape.dModel * seqLen;
}

/** Sizes that the papers round in their own way, so that a person finds the name they know. */
const known: readonly {
  readonly name: string;
  readonly family: ModelShape["family"];
  readonly layers: number;
  readonly width: number;
  /** Where another size of vocabulary is another model; null where papers vary it. */
  readonly vocabSize: number | null;
}[] = [
  { name: "BioMedLM, 2.7B", family: "gpt2", layers: 32, width: 2560, vocabSize: 28_896 },
  { name: "GPT-2 small, 124M", family: "gpt2", layers: 12, width: 768, vocabSize: 50_257 },
  { name: "GPT-2 medium, 355M", family: "gpt2", layers: 24, width: 1024, vocabSize: 50_257 },
  { name: "GPT-2 large, 774M", family: "gpt2", layers: 36, width: 1280, vocabSize: 50_257 },
  { name: "GPT-2 XL, 1.5B", family: "gpt2", layers: 48, width: 1600, vocabSize: 50_257 },
  { name: "BERT-base, 110M", family: "bert", layers: 12, width: 768, vocabSize: null },
  { name: "BERT-large, 340M", family: "bert", layers: 24, width: 1024, vocabSize: null },
  { name: "BioMegatron 345M", family: "megatron_bert", layers: 24, width: 1024, vocabSize: null },
  { name: "BioMegatron 800M", family: "megatron_bert", layers: 36, width: 1280, vocabSize: null },
  { name: "BioMegatron 1.2B", family: "megatron_bert", layers: 24, width: 2048, vocabSize: null },
];

/** What the papers call a model of this shape; null where it is none of theirs. */
export function publishedName(shape: ModelShape): string | null {
  const found = known.find(
    (each) =>
      each.family === shape.family &&
      each.layers === shape.nLayers &&
      each.width === shape.dModel &&
      (each.vocabSize === null || each.vocabSize === shape.vocabSize),
  );
  return found?.name ?? null;
}
