// What a run does at its evaluation points: the held-out text, and the recipe's sample prompts.
import path from "node:path";
import { evaluateLanguageModel } from "#core/evaluate/language-model";
import { evaluateMaskedModel } from "#core/evaluate/masked-language-model";
import { generateWhole } from "#core/models/generate";
import { LineWriter } from "#core/runs/metrics";
import type { PreparedTraining, TrainingModel } from "#core/runs/prepare";
import { isCausal } from "#shared/domain/recipe-model";
import { AppError } from "#shared/errors";
import type { RunJournal } from "./journal.ts";

export type HeldOutEvaluation = {
  readonly loss: number;
  readonly perplexity: number;
  /** Null for a masked model, which does not price the whole text. */
  readonly bitsPerByte: number | null;
  /** Of a model that learns it. */
  readonly sentenceOrderLoss: number | null;
};

/** Undefined when a stop was asked for before it was done. */
export async function evaluateHeldOut(
  prepared: PreparedTraining,
  { model }: TrainingModel,
  journal: RunJournal,
  signal: AbortSignal,
): Promise<HeldOutEvaluation | undefined> {
  const { evaluation, trainingOptions, recipe } = prepared;
  const { masking } = trainingOptions;
  try {
    if (masking === null) {
      const causal = await evaluateLanguageModel({
        model,
        data: evaluation.data,
        textBytes: evaluation.textBytes,
        seqLen: recipe.max_seq_len,
        endOfTextId: prepared.endOfTextId,
        signal,
        onProgress: (done, total) =>
          journal.progress({ phase: { name: "evaluating", done, total, unit: "documents" } }),
      });
      return { ...causal, sentenceOrderLoss: null };
    }
    journal.progress({ phase: { name: "evaluating" } });
    const { data } = evaluation;
    const { endOfTextId } = prepared;
    const masked = await evaluateMaskedModel({ model, data, seqLen: recipe.max_seq_len, endOfTextId, masking });
    return { ...masked, bitsPerByte: null };
  } catch (error) {
    if (error instanceof AppError && error.code === "CANCELLED") {
      return undefined;
    }
    throw error;
  } finally {
    journal.progress({ phase: null });
  }
}

/** The seed is the same at every step, so that the texts differ by what was learned alone. */
const sampling = { temperature: 0.8, topK: 40, topP: 1, stopAtEndOfText: true } as const;

/** Appends a line a prompt to samples.jsonl, if the model writes text at all. A stop cuts it short; samples are no part of what a resume repeats. */
export async function writeSamples(
  prepared: PreparedTraining,
  { model }: TrainingModel,
  step: number,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const { prompts, max_new_tokens: maxNewTokens } = prepared.recipe.samples;
  if (prompts.length === 0 || !isCausal(prepared.recipe.model.name)) {
    return;
  }
  const lines = await LineWriter.open(path.join(directory, "samples.jsonl"));
  try {
    for (const prompt of prompts) {
      if (signal.aborted) {
        return;
      }
      const text = await generateWhole(
        { model, tokenizer: prepared.tokenizer },
        { prompt, maxNewTokens, seed: prepared.recipe.seed, ...sampling },
      );
      await lines.append(`${JSON.stringify({ step, prompt, text })}\n`);
    }
  } finally {
    await lines.close();
  }
}
