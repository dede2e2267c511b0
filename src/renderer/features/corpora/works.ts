// Cleaning, scanning and splitting a corpus as their pages ask it, and why they cannot begin yet.
import { go, routeHash } from "../../app/router.ts";
import { cleanRules } from "./clean-form.ts";
import { nameProblem, outputOf } from "./corpus-names.ts";
import { type ScanForm, type SplitForm, useForms } from "./forms.ts";
import { fieldsOf } from "./import-form.ts";
import { startJob } from "./jobs.ts";
import { loadCorpora } from "./store.ts";

export async function startCleaning(corpus: string): Promise<void> {
  const { clean } = useForms.getState();
  const result = await startJob("corpora.clean", corpus, {
    inputs: [corpus],
    output: outputOf(clean.name),
    rules: cleanRules(clean),
  });
  await loadCorpora();
  // Whoever has gone elsewhere meanwhile is not called back.
  if (result !== null && window.location.hash === routeHash("corpora", corpus, "clean")) {
    go("corpora", result.output, "ledger");
  }
}

export function scanProblem(form: ScanForm): string | null {
  const run = Number(form.runWords);
  const least = Number(form.leastWords);
  if (form.evaluation.length === 0) {
    return "Choose the evaluation sets to look for.";
  }
  if (!Number.isInteger(run) || run < 2 || run > 100) {
    return "A run has from 2 to 100 words.";
  }
  return Number.isInteger(least) && least >= 1 && least <= 100 ? null : "An item has from 1 to 100 words at least.";
}

export async function startScan(corpus: string): Promise<void> {
  const { scan } = useForms.getState();
  await startJob("corpora.scan", corpus, {
    evaluation: [...scan.evaluation],
    corpus: [corpus],
    textFields: fieldsOf(scan.textFields),
    idField: scan.idField.trim() === "" ? null : scan.idField.trim(),
    runWords: Number(scan.runWords),
    leastWords: Number(scan.leastWords),
  });
}

export function percentProblem(form: SplitForm): string | null {
  const percent = Number(form.percent);
  return form.percent.trim() !== "" && percent > 0 && percent < 100 ? null : "Between 0 and 100 per cent.";
}

export function splitProblem(form: SplitForm, taken: ReadonlySet<string>): string | null {
  const percent = percentProblem(form);
  if (percent !== null) {
    return percent;
  }
  const name = nameProblem(form.train, taken) ?? nameProblem(form.heldOut, taken);
  return name ?? (form.train.trim() === form.heldOut.trim() ? "The two parts have two names." : null);
}

export async function startSplit(corpus: string): Promise<void> {
  const { split } = useForms.getState();
  await startJob("corpora.split", corpus, {
    inputs: [corpus],
    fraction: Number(split.percent) / 100,
    train: outputOf(split.train),
    heldOut: outputOf(split.heldOut),
  });
  await loadCorpora();
}
