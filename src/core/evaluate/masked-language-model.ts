// Held-out evaluation of a masked language model: the windows of the text with the same tokens masked at every
// evaluation, so that the loss changes with the model alone. loss is nats a masked token, perplexity e^loss; neither
// compares with a causal model's, and there are no bits per byte: only some of the text is predicted.
import { AppError } from "#shared/errors";
import type { NativeMasking, NativeModel, NativeTokenData } from "../engine/addon.ts";

/** Of the fixed masking: the same in every run, so that runs compare. */
export const EVALUATION_MASKING_SEED = 17;

export type MaskedEvaluation = {
  readonly loss: number;
  readonly perplexity: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
  /** Nats a pair of texts, of a model that also learns their order; else null. */
  readonly sentenceOrderLoss: number | null;
};

export async function evaluateMaskedModel(options: {
  readonly model: Pick<NativeModel, "evaluate">;
  readonly data: NativeTokenData;
  readonly seqLen: number;
  readonly endOfTextId: number;
  readonly masking: NativeMasking;
}): Promise<MaskedEvaluation> {
  const { model, data, seqLen, endOfTextId, masking } = options;
  const sums = await model.evaluate({ data, seqLen, endOfTextId, masking, maskingSeed: EVALUATION_MASKING_SEED });
  if (sums.tokenCount === 0) {
    throw new AppError("CORPUS_EMPTY", "There is nothing to evaluate on: the held-out text has no tokens to mask.");
  }
  const loss = sums.nats / sums.tokenCount;
  return {
    loss,
    perplexity: Math.exp(loss),
    tokens: sums.tokenCount,
    sentenceOrderLoss: sums.sentenceCount === 0 ? null : sums.sentenceNats / sums.sentenceCount,
  };
}
