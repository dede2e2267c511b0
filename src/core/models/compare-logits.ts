// Whether two models say the same: the logits of a handful of sequences, kept from one and compared with the other's, so
// that both need not be in memory at once.
import type { NativeModel, NativeModelConfig, NativeTokenizer } from "../engine/addon.ts";

/** Sentences with words, numbers, brackets and letters outside ASCII; a tokenizer of any field has pieces for them. */
const sentences = [
  "Background: The β2-adrenergic receptor is a target in asthma.",
  "Methods: 1,234 patients (aged 18-65) were randomised to 5 mg/kg or placebo.",
  "Results: hazard ratio 0.72 (95% CI 0.58-0.91; p < 0.005).",
  "the of and in to a was with for that were by is as from",
  "Naïve T-cells expressed IL-2, TNF-α and IFN-γ at 37 °C.",
];

const LONGEST = 48;

/** Token sequences to compare on: real text where there is a tokenizer, and one that walks over the vocabulary. */
export function probeSequences(
  config: NativeModelConfig,
  tokenizer: Pick<NativeTokenizer, "encode"> | null,
): readonly Int32Array[] {
  const longest = Math.min(LONGEST, config.maxSeqLen);
  const walk = Int32Array.from({ length: longest }, (_, index) => (index * 7919 + 11) % config.vocabSize);
  const texts =
    tokenizer === null
      ? []
      : sentences.map((sentence) => Int32Array.from(tokenizer.encode(sentence).ids.subarray(0, longest)));
  return [...texts.filter((ids) => ids.length > 0), walk];
}

/** The logits of every sequence, one after the other. */
export async function logitsOf(
  model: NativeModel,
  config: NativeModelConfig,
  sequences: readonly Int32Array[],
): Promise<readonly Float32Array[]> {
  const all: Float32Array[] = [];
  for (const tokens of sequences) {
    all.push(
      config.head === "causal-lm"
        ? await model.logits(tokens)
        : await model.predict({
            tokens,
            batch: 1,
            seqLen: tokens.length,
            ...(config.head === "multiple-choice" ? { choices: 1 } : {}),
          }),
    );
  }
  return all;
}

export type LogitComparison = {
  readonly tokens: number;
  /** The largest difference, over the largest logit where that is more than one. */
  readonly maxDifference: number;
  /** Rows whose largest logit is the same one. */
  readonly sameTopToken: number;
  readonly rows: number;
};

function largestAt(values: Float32Array, begin: number, end: number): number {
  let best = begin;
  for (let index = begin + 1; index < end; index += 1) {
    if ((values[index] ?? 0) > (values[best] ?? 0)) {
      best = index;
    }
  }
  return best - begin;
}

/** Compares logits of the same sequences. What is not a number differs from everything. */
export function compareLogits(
  sequences: readonly Int32Array[],
  ours: readonly Float32Array[],
  theirs: readonly Float32Array[],
): LogitComparison {
  let difference = 0;
  let scale = 1;
  let rows = 0;
  let same = 0;
  for (const [index, left] of ours.entries()) {
    const right = theirs[index] ?? new Float32Array(0);
    const tokens = sequences[index]?.length ?? 1;
    if (left.length !== right.length || left.length === 0) {
      difference = Infinity;
      continue;
    }
    for (let at = 0; at < left.length; at += 1) {
      const gap = Math.abs((left[at] ?? 0) - (right[at] ?? 0));
      difference = gap <= difference ? difference : Number.isNaN(gap) ? Infinity : gap;
      const size = Math.abs(left[at] ?? 0);
      scale = size > scale && Number.isFinite(size) ? size : scale;
    }
    // Logits a token, or one row for the whole sequence.
    const rowCount = left.length % tokens === 0 && left.length > tokens ? tokens : 1;
    const width = left.length / rowCount;
    for (let row = 0; row < rowCount; row += 1) {
      const begin = row * width;
      same += largestAt(left, begin, begin + width) === largestAt(right, begin, begin + width) ? 1 : 0;
    }
    rows += rowCount;
  }
  return {
    tokens: sequences.reduce((sum, tokens) => sum + tokens.length, 0),
    maxDifference: difference / scale,
    sameTopToken: same,
    rows,
  };
}
