// The rules of a cleaning as a form: each can be off, and its figures are typed. The defaults are those of
// docs/formats/corpus.md.
import { nameProblem } from "./corpus-names.ts";

export type CleanForm = {
  readonly name: string;
  readonly boilerplate: boolean;
  /** One a line. */
  readonly phrases: string;
  readonly length: boolean;
  readonly minWords: string;
  readonly maxWords: string;
  readonly language: boolean;
  readonly languages: string;
  readonly keepUndetermined: boolean;
  readonly quality: boolean;
  readonly maxSymbols: string;
  readonly maxDigits: string;
  readonly maxRepeatedLines: string;
  readonly maxRepeatedRuns: string;
  readonly leastWordLength: string;
  readonly mostWordLength: string;
  readonly exactDuplicates: boolean;
  readonly nearDuplicates: boolean;
  readonly similarity: string;
  readonly runWords: string;
  readonly keep: "longest" | "first";
};

export function cleanDefaults(name: string): CleanForm {
  return {
    name,
    boilerplate: true,
    phrases: "",
    length: true,
    minWords: "20",
    maxWords: "1000000",
    language: false,
    languages: "en",
    keepUndetermined: true,
    quality: true,
    maxSymbols: "0.1",
    maxDigits: "0.3",
    maxRepeatedLines: "0.3",
    maxRepeatedRuns: "0.5",
    leastWordLength: "2.5",
    mostWordLength: "14",
    exactDuplicates: true,
    nearDuplicates: true,
    similarity: "0.8",
    runWords: "5",
    keep: "longest",
  };
}

export type CleanProblems = Partial<Record<keyof CleanForm, string>>;

function inRange(text: string, least: number, most: number): boolean {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) && value >= least && value <= most;
}

function isWhole(text: string, least: number): boolean {
  return /^\d+$/u.test(text.trim()) && Number(text) >= least;
}

/** A share of nothing typed is a rule that is off. */
const shares = ["maxSymbols", "maxDigits", "maxRepeatedLines", "maxRepeatedRuns"] as const;

export function cleanProblems(form: CleanForm, taken: ReadonlySet<string>): CleanProblems {
  const problems: CleanProblems = {};
  const name = nameProblem(form.name, taken);
  if (name !== null) {
    problems.name = name;
  }
  if (form.boilerplate && phrasesOf(form).some((phrase) => phrase.length < 3)) {
    problems.phrases = "A phrase has at least three characters.";
  }
  if (form.length) {
    if (!isWhole(form.minWords, 0)) {
      problems.minWords = "A whole number from 0.";
    }
    if (!isWhole(form.maxWords, 1)) {
      problems.maxWords = "A whole number from 1.";
    }
  }
  if (form.language && languagesOf(form).some((code) => !/^[a-z]{2,3}$/u.test(code))) {
    problems.languages = "Codes of two letters, apart by commas: en, de.";
  }
  if (form.language && languagesOf(form).length === 0) {
    problems.languages = "Name a language to keep, such as en.";
  }
  if (form.quality) {
    for (const share of shares) {
      if (form[share].trim() !== "" && !inRange(form[share], 0, 1)) {
        problems[share] = "From 0 to 1; empty is off.";
      }
    }
    if (!inRange(form.leastWordLength, 0, 1000) || !inRange(form.mostWordLength, 0, 1000)) {
      problems.leastWordLength = "Two numbers of letters.";
    }
  }
  if (form.nearDuplicates) {
    if (!inRange(form.similarity, 0.5, 1)) {
      problems.similarity = "From 0.5 to 1.";
    }
    if (!isWhole(form.runWords, 1) || Number(form.runWords) > 20) {
      problems.runWords = "A whole number from 1 to 20.";
    }
  }
  return problems;
}

function phrasesOf(form: CleanForm): string[] {
  return form.phrases
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function languagesOf(form: CleanForm): string[] {
  return form.languages
    .split(",")
    .map((code) => code.trim().toLowerCase())
    .filter((code) => code !== "");
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** As the rules of a YAML file. */
export function cleanRules(form: CleanForm): Record<string, Json> {
  const share = (text: string): number | null => (text.trim() === "" ? null : Number(text));
  return {
    boilerplate: form.boilerplate ? { builtin: true, phrases: phrasesOf(form) } : null,
    length: form.length ? { min_words: Number(form.minWords), max_words: Number(form.maxWords) } : null,
    language: form.language ? { keep: languagesOf(form), keep_undetermined: form.keepUndetermined } : null,
    quality: form.quality
      ? {
          max_symbol_ratio: share(form.maxSymbols),
          max_digit_ratio: share(form.maxDigits),
          max_repeated_line_ratio: share(form.maxRepeatedLines),
          max_repeated_run_ratio: share(form.maxRepeatedRuns),
          mean_word_length: [Number(form.leastWordLength), Number(form.mostWordLength)],
        }
      : null,
    exact_duplicates: form.exactDuplicates,
    near_duplicates: form.nearDuplicates
      ? { similarity: Number(form.similarity), run_words: Number(form.runWords), keep: form.keep }
      : null,
  };
}
