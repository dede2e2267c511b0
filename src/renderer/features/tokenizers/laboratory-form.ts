// The comparison's form as data: its terms, and what keeps it from starting.
import type { ComparisonForm } from "./laboratory-store.ts";

/** Whole in BioMedLM's vocabulary, split by GPT-2's (named by its authors). */
export const BIOMEDLM_TERMS = "chromatography\ncytotoxicity\nImmunohistochemistry\nphotosynthesis\nprobiotic";

/** One a line, as a word within a sentence unless it says otherwise by a space of its own. */
export function termsOf(text: string): readonly string[] {
  const lines = text.split(/\r?\n/u).filter((line) => line.trim() !== "");
  return [...new Set(lines.map((line) => (line.startsWith(" ") ? line : ` ${line}`)))];
}

/** Null when it can start. */
export function comparisonProblem(form: ComparisonForm): string | null {
  const top = Number(form.topEntities);
  if (form.tokenizers.length === 0) {
    return "choose at least one tokenizer";
  }
  if (form.tokenizers.length > 12) {
    return "choose at most twelve tokenizers";
  }
  if (form.inputs.length === 0 && form.iobFiles.length === 0 && termsOf(form.terms).length === 0) {
    return "add texts, annotated entities or terms";
  }
  if (form.iobFiles.length > 0 && (!Number.isInteger(top) || top < 0 || top > 5000)) {
    return "the number of names is 0 to 5000";
  }
  return null;
}

/** The last two parts of a path: data sets are told apart by their folder. */
export function shortPath(path: string): string {
  return path
    .split(/[\\/]+/u)
    .filter(Boolean)
    .slice(-2)
    .join("/");
}
