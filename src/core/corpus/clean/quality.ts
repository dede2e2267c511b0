// What one document must be to stay: long enough, in a language one keeps, and text rather than tables, code or the same
// line again and again. Looks at one document at a time; decides nothing about others.
import { detectLanguage } from "./language.ts";
import type { CleanRules } from "./rules.ts";
import { RunHashes, type Words } from "./words.ts";

export type Verdict = { readonly rule: string; readonly detail: string };

function ratioOf(text: string, pattern: RegExp): number {
  return text.length === 0 ? 0 : (text.match(pattern)?.length ?? 0) / text.length;
}

function repeatedLineRatio(text: string): number {
  const seen = new Set<string>();
  let repeated = 0;
  let total = 0;
  for (const line of text.split("\n")) {
    const own = line.trim();
    total += own.length;
    if (seen.has(own)) {
      repeated += own.length;
    }
    seen.add(own);
  }
  return total === 0 ? 0 : repeated / total;
}

const RUN_WORDS = 5;

/** The share of words that lie in a run of five which was there before. */
function repeatedRunRatio(words: Words): number {
  if (words.count < 2 * RUN_WORDS) {
    return 0;
  }
  const runs = new RunHashes(words);
  const seen = new Set<number>();
  let covered = 0;
  let coveredTo = 0;
  for (let from = 0; from + RUN_WORDS <= words.count; from += 1) {
    // 53 of the 64 bits: as many as a number holds.
    const key = runs.high(from, RUN_WORDS) * 2 ** 21 + (runs.low(from, RUN_WORDS) >>> 11);
    if (seen.has(key)) {
      covered += from + RUN_WORDS - Math.max(coveredTo, from);
      coveredTo = from + RUN_WORDS;
    }
    seen.add(key);
  }
  return covered / words.count;
}

function meanWordLength(words: Words): number {
  let characters = 0;
  for (let at = 0; at < words.count; at += 1) {
    characters += (words.spans[2 * at + 1] ?? 0) - (words.spans[2 * at] ?? 0);
  }
  return words.count === 0 ? 0 : characters / words.count;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function judgeQuality(text: string, words: Words, rules: NonNullable<CleanRules["quality"]>): Verdict | null {
  const checks: readonly (readonly [string, number | null, () => number, string])[] = [
    [
      "symbols",
      rules.max_symbol_ratio,
      () => ratioOf(text, /[^\p{L}\p{M}\p{N}\s.,;:!?'"()\-–—%/[\]]/gu),
      "of its characters are symbols",
    ],
    ["digits", rules.max_digit_ratio, () => ratioOf(text, /\p{Nd}/gu), "of its characters are digits"],
    [
      "repeated-lines",
      rules.max_repeated_line_ratio,
      () => repeatedLineRatio(text),
      "of it are lines that were there before",
    ],
    [
      "repeated-runs",
      rules.max_repeated_run_ratio,
      () => repeatedRunRatio(words),
      "of its words are in runs of five that were there before",
    ],
  ];
  for (const [rule, limit, measure, what] of checks) {
    if (limit !== null) {
      const found = measure();
      if (found > limit) {
        return { rule, detail: `${percent(found)} ${what}; at most ${percent(limit)} may be` };
      }
    }
  }
  if (rules.mean_word_length !== null && words.count > 0) {
    const [least, most] = rules.mean_word_length;
    const mean = meanWordLength(words);
    // Languages without blanks have words of any length.
    if (
      (mean < least || mean > most) &&
      !/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u.test(text)
    ) {
      return {
        rule: "word-length",
        detail: `its words have ${mean.toFixed(1)} letters on average; ${least} to ${most} may be`,
      };
    }
  }
  return null;
}

/** Why the document goes; null where it stays. */
export function judgeDocument(text: string, words: Words, rules: CleanRules): Verdict | null {
  if (rules.length !== null) {
    const { min_words: least, max_words: most } = rules.length;
    if (words.count < least) {
      return { rule: "too-short", detail: `${words.count} words; at least ${least} should be` };
    }
    if (words.count > most) {
      return { rule: "too-long", detail: `${words.count} words; at most ${most} may be` };
    }
  }
  if (rules.language !== null) {
    const { language, share } = detectLanguage(text);
    const isKept = language === "und" ? rules.language.keep_undetermined : rules.language.keep.includes(language);
    if (!isKept) {
      return {
        rule: "language",
        detail: `it is ${language} (${percent(share)}); ${rules.language.keep.join(", ")} stay`,
      };
    }
  }
  return rules.quality === null ? null : judgeQuality(text, words, rules.quality);
}
