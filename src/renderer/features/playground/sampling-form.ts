// The sampling form: what may be typed, what it means, and the sentence when it does not fit.
import type { Sampling } from "#shared/ipc/models.contract";

export type PlaygroundSampling = Sampling & {
  /** 1 is none. */
  readonly repetitionPenalty: number;
  /** Continuations side by side. */
  readonly samples: number;
  readonly weights: "fp32" | "bf16" | "int8";
};

export const weightTypes: readonly PlaygroundSampling["weights"][] = ["fp32", "bf16", "int8"];

export const defaultSampling: PlaygroundSampling = {
  maxNewTokens: 64,
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  seed: 17,
  stopAtEndOfText: true,
  repetitionPenalty: 1,
  samples: 1,
  weights: "fp32",
};

type NumericKey = "temperature" | "topK" | "topP" | "repetitionPenalty" | "maxNewTokens" | "seed" | "samples";

export type SamplingField = {
  readonly key: NumericKey;
  readonly label: string;
  readonly help: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly isWhole: boolean;
};

export const samplingFields: readonly SamplingField[] = [
  {
    key: "temperature",
    label: "temperature",
    help: "0 always takes the likeliest token",
    min: 0,
    max: 10,
    step: 0.1,
    isWhole: false,
  },
  {
    key: "topK",
    label: "top-k",
    help: "only the k likeliest tokens; 0 is all",
    min: 0,
    max: 1_000_000,
    step: 1,
    isWhole: true,
  },
  {
    key: "topP",
    label: "top-p",
    help: "only the likeliest tokens that reach this probability together",
    min: 0,
    max: 1,
    step: 0.05,
    isWhole: false,
  },
  {
    key: "repetitionPenalty",
    label: "repetition penalty",
    help: "above 1 makes what was said already less likely; 1 is none",
    min: 1,
    max: 10,
    step: 0.05,
    isWhole: false,
  },
  { key: "maxNewTokens", label: "new tokens", help: "at most this many", min: 1, max: 4096, step: 1, isWhole: true },
  {
    key: "seed",
    label: "seed",
    help: "the same seed gives the same text",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    step: 1,
    isWhole: true,
  },
  {
    key: "samples",
    label: "samples",
    help: "continuations side by side, with this seed and the next ones",
    min: 1,
    max: 8,
    step: 1,
    isWhole: true,
  },
];

export type SamplingDraft = Readonly<Record<NumericKey, string>> &
  Pick<PlaygroundSampling, "stopAtEndOfText" | "weights">;

export function draftOf(sampling: PlaygroundSampling): SamplingDraft {
  return {
    temperature: String(sampling.temperature),
    topK: String(sampling.topK),
    topP: String(sampling.topP),
    maxNewTokens: String(sampling.maxNewTokens),
    seed: String(sampling.seed),
    repetitionPenalty: String(sampling.repetitionPenalty),
    samples: String(sampling.samples),
    weights: sampling.weights,
    stopAtEndOfText: sampling.stopAtEndOfText,
  };
}

/** Null where the text fits the field, else a sentence. */
export function fieldProblem(field: SamplingField, text: string): string | null {
  const value = text.trim() === "" ? Number.NaN : Number(text.trim().replace(",", "."));
  if (Number.isNaN(value)) {
    return `${field.label} is a number.`;
  }
  if (field.isWhole && !Number.isInteger(value)) {
    return `${field.label} is a whole number.`;
  }
  if (value < field.min || value > field.max) {
    return field.key === "seed" || field.key === "topK"
      ? `${field.label} is at least ${field.min}.`
      : `${field.label} is from ${field.min} to ${field.max}.`;
  }
  return null;
}

/** The sampling a draft means, or the first thing wrong with it. */
export function parseSampling(
  draft: SamplingDraft,
): { readonly sampling: PlaygroundSampling } | { readonly problem: string } {
  const values: Record<NumericKey, number> = {
    temperature: 0,
    topK: 0,
    topP: 0,
    repetitionPenalty: 1,
    maxNewTokens: 0,
    seed: 0,
    samples: 1,
  };
  for (const field of samplingFields) {
    const problem = fieldProblem(field, draft[field.key]);
    if (problem !== null) {
      return { problem };
    }
    values[field.key] = Number(draft[field.key].trim().replace(",", "."));
  }
  return { sampling: { ...values, stopAtEndOfText: draft.stopAtEndOfText, weights: draft.weights } };
}
