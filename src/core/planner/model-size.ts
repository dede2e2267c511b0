// How large a model is: parameters, and floating-point operations a token. Exact for the tensors the engine has; a tied
// output layer is counted once.
import { type ModelShape, parameterCount } from "#shared/domain/model-tensors";

export function positionParameterCount(shape: Pick<ModelShape, "maxSeqLen" | "dModel">): number {
  return shape.maxSeqLen * shape.dModel;
}

export function modelParameterCount(shape: ModelShape): number {
  return parameterCount(shape);
}

/** Forward and backward: 6(N − position embeddings) + 12·L·d·T. */
export function trainingFlopsPerToken(shape: ModelShape, seqLen: number): number {
  const inProducts = modelParameterCount(shape) - positionParameterCount(shape);
  return 6 * inProducts + 12 * shape.nLayers * shape.dModel * seqLen;
}
