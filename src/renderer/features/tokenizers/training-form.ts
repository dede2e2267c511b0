// What the training form accepts, and the sentence that says why it does not.
import type { TrainingForecast } from "#shared/ipc/tokenizers.contract";
import { formatBytes, formatCount, formatDuration } from "../../lib/format.ts";
import type { TrainingForm } from "./store.ts";

export const tokenizerTypes = [
  { value: "byte-bpe", label: "byte-level BPE" },
  { value: "wordpiece", label: "WordPiece" },
  { value: "unigram", label: "unigram" },
] as const;
export type TokenizerType = (typeof tokenizerTypes)[number]["value"];

/** Byte-level BPE: 256 bytes and the end of text. The others: special tokens and a few characters. */
function smallestVocabulary(type: TokenizerType): number {
  return type === "byte-bpe" ? 257 : 16;
}

/** One a line. */
export function protectedWords(text: string): readonly string[] {
  return [...new Set(text.split(/\r?\n/u).map((line) => line.trim()))].filter((word) => word !== "");
}

export type FormProblems = Readonly<Partial<Record<keyof TrainingForm, string>>>;

export function formProblems(form: TrainingForm, takenNames: ReadonlySet<string>): FormProblems {
  const problems: Partial<Record<keyof TrainingForm, string>> = {};
  const name = form.name.trim();
  if (name === "") {
    problems.name = "Give the tokenizer a name.";
  } else if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u.test(name)) {
    problems.name = "Up to 64 letters, digits, dots, dashes and underscores; the first is a letter or digit.";
  } else if (takenNames.has(name)) {
    problems.name = `There is a tokenizer ${name} already.`;
  }
  if (form.inputs.length === 0) {
    problems.inputs = "Choose files or a folder to learn from.";
  }
  const smallest = smallestVocabulary(form.type);
  const vocabSize = Number(form.vocabSize);
  if (form.vocabSize.trim() === "" || !Number.isInteger(vocabSize) || vocabSize < smallest) {
    problems.vocabSize =
      form.type === "byte-bpe"
        ? `A whole number from ${smallest}: the 256 bytes and the end of text come first.`
        : `A whole number from ${smallest}: special tokens and characters come first.`;
  }
  const minFrequency = Number(form.minFrequency);
  if (form.minFrequency.trim() === "" || !Number.isInteger(minFrequency) || minFrequency < 1) {
    problems.minFrequency = "A whole number from 1.";
  }
  return problems;
}

/** "reading 3 of 12", "merges 812" — what is being waited for. */
export function trainingProgress(
  phase: string,
  done: number,
  total: number | null,
): { readonly label: string; readonly share: number | null } {
  if (total === null || total <= 0) {
    return { label: done > 0 ? `${phase}: ${formatCount(done)}` : phase, share: null };
  }
  return { label: `${phase}: ${formatCount(done)} of ${formatCount(total)}`, share: Math.min(1, done / total) };
}

/** What the training will take, in two sentences. */
export function forecastWords(forecast: TrainingForecast): string {
  const { textBytes, distinctWords, readSeconds, learnSeconds, memoryBytes, sampledBytes } = forecast;
  const isAll = sampledBytes >= textBytes;
  const what = `${formatBytes(textBytes)} of text with ${isAll ? "" : "about "}${formatCount(distinctWords)} different words`;
  const from = isAll ? "" : `, as the first ${formatBytes(sampledBytes)} tell`;
  const rest = forecast.leavesWordsOut
    ? " The rarest words are more than the memory allows, and will be left out."
    : forecast.spills
      ? " Counts will go through a temporary file."
      : "";
  const seconds = Math.max(1, readSeconds + learnSeconds);
  return `${what}${from}. Training will take about ${formatDuration(seconds)} and ${formatBytes(memoryBytes)} of memory.${rest}`;
}
