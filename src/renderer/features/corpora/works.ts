// Cleaning, scanning and splitting a corpus, and writing its shards, as their pages ask it, and why they cannot begin yet.
import { go, routeHash } from "../../app/router.ts";
import { cleanRules } from "./clean-form.ts";
import { nameProblem, outputOf } from "./corpus-names.ts";
import { type ScanForm, type ShardForm, type SplitForm, useForms } from "./forms.ts";
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

export function sizeProblem(form: ShardForm): string | null {
  const size = Number(form.sizeMiB);
  return form.sizeMiB.trim() !== "" && size > 0 && size < 4096 ? null : "Above 0 and below 4096 MiB.";
}

/** Which folders are there is not known here: one that holds an index is refused when it is written. */
export function shardProblem(form: ShardForm): string | null {
  return nameProblem(form.folder, new Set(), "folder") ?? sizeProblem(form);
}

export async function startShards(corpus: string): Promise<void> {
  const { shard } = useForms.getState();
  await startJob("corpora.shard", corpus, {
    inputs: [corpus],
    folder: shard.folder.trim(),
    tokenizer: shard.tokenizer === "" ? null : shard.tokenizer,
    compression: shard.compression === "none" ? null : shard.compression,
    sizeLimitBytes: Math.max(1024, Math.floor(Number(shard.sizeMiB) * 1024 * 1024)),
  });
}
