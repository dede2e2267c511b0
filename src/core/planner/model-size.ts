// How large a GPT-2 is: parameters, and floating-point operations a token. Exact for the tensors the engine has (the
// output layer is the token embedding).
import type { Recipe } from "#shared/domain/recipe";

type Model = Pick<Recipe["model"], "n_layers" | "d_model" | "expansion_ratio">;

export function positionParameterCount(model: Model, maxSeqLen: number): number {
  return maxSeqLen * model.d_model;
}

/** Of one block: attention 4d² + 4d, feed-forward 2rd² + (r + 1)d, two layer norms 4d. */
function blockParameterCount({ d_model: d, expansion_ratio: r }: Model): number {
  return 4 * d * d + 4 * d + 2 * r * d * d + (r + 1) * d + 4 * d;
}

export function modelParameterCount(model: Model, vocabSize: number, maxSeqLen: number): number {
  const embeddings = vocabSize * model.d_model + positionParameterCount(model, maxSeqLen);
  return embeddings + model.n_layers * blockParameterCount(model) + 2 * model.d_model;
}

/** Forward and backward: 6(N − position embeddings) + 12·L·d·T. */
export function trainingFlopsPerToken(model: Model, vocabSize: number, maxSeqLen: number): number {
  const parameters = modelParameterCount(model, vocabSize, maxSeqLen);
  const inProducts = parameters - positionParameterCount(model, maxSeqLen);
  return 6 * inProducts + 12 * model.n_layers * model.d_model * maxSeqLen;
}
