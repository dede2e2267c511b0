// What the training form accepts, and the sentence that says why it does not.
import type { TrainingForm } from "./store.ts";

/** 256 bytes and the end of text: fewer cannot hold every text. */
export const SMALLEST_VOCABULARY = 257;

export type FormProblems = Readonly<Partial<Record<keyof TrainingForm, string>>>;

export function formProblems(form: TrainingForm, takenNames: ReadonlySet<string>): FormProblems {
  const problems: Partial<Record<keyof TrainingForm, string>> = {};
  const name = form.name.trim();
  if (name === "") {
    problems.name = "Give the tokenizer a name.";
  } else if (!/^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u.test(name)) {
    problems.name = "A name has letters, digits, dots, dashes and underscores, and begins with a letter or digit.";
  } else if (takenNames.has(name)) {
    problems.name = `There is a tokenizer ${name} already.`;
  }
  if (form.inputs.length === 0) {
    problems.inputs = "Choose files or a folder to learn from.";
  }
  const vocabSize = Number(form.vocabSize);
  if (form.vocabSize.trim() === "" || !Number.isInteger(vocabSize) || vocabSize < SMALLEST_VOCABULARY) {
    problems.vocabSize = `A whole number from ${SMALLEST_VOCABULARY}: the 256 bytes and the end of text come first.`;
  }
  const minFrequency = Number(form.minFrequency);
  if (form.minFrequency.trim() === "" || !Number.isInteger(minFrequency) || minFrequency < 1) {
    problems.minFrequency = "A whole number from 1.";
  }
  return problems;
}

/** "reading 3 of 12", "merges 812" — what is being waited for. */
export function trainingProgress(phase: string, done: number, total: number | null): { readonly label: string; readonly share: number | null } {
  const count = (value: number) => Math.round(value).toLocaleString("en").replaceAll(",", "\u2009");
  if (total === null || total <= 0) {
    return { label: done > 0 ? `${phase}: ${count(done)}` : phase, share: null };
  }
  return { label: `${phase}: ${count(done)} of ${count(total)}`, share: Math.min(1, done / total) };
}
