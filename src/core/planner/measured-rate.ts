// How fast earlier runs went on this machine, from their run directories: the median of the newest logged rates of the
// newest run of the same shape, else of the newest run of any shape.
import { open, readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { type Device, isShaped, type Recipe, type ShapedRecipe } from "#shared/domain/recipe";
import { modelConfigOf } from "../recipe/engine-options.ts";
import { loadRecipe } from "../recipe/load.ts";
import { trainingFlopsPerToken } from "./model-size.ts";
import type { MeasuredRate } from "./rate.ts";

const NEWEST_RUNS = 30;
const TAIL_BYTES = 64 * 1024;
const ENOUGH_POINTS = 3;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

async function readTail(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The logged rates of the end of a metrics.jsonl. A line cut by the tail or by a crash is skipped. */
export function ratesOf(metricsTail: string): readonly number[] {
  return metricsTail.split("\n").flatMap((line) => {
    try {
      const rate: unknown = JSON.parse(line)["throughput/tokens_per_second"];
      return typeof rate === "number" && rate > 0 ? [rate] : [];
    } catch {
      return [];
    }
  });
}

/** Same work a step, as far as the rate goes. */
function isSameWork(one: Recipe, other: Recipe, threads: number): boolean {
  const work = ({ model, optimizer, objective, ...recipe }: Recipe): readonly unknown[] => [
    model.name,
    model.n_layers,
    model.d_model,
    model.n_heads,
    model.expansion_ratio,
    model.lora,
    model.weights,
    model.freeze,
    optimizer.state,
    objective.name,
    recipe.max_seq_len,
    recipe.global_train_batch_size,
    recipe.precision,
    recipe.activation_checkpointing,
  ];
  return JSON.stringify(work(one)) === JSON.stringify(work(other)) && other.threads === threads;
}

async function readRun(directory: string): Promise<{ recipe: ShapedRecipe; rate: number; name: string } | null> {
  try {
    const manifest: { host?: unknown; name?: unknown } = JSON.parse(
      await readFile(path.join(directory, "run.json"), "utf8"),
    );
    if (manifest.host !== hostname()) {
      return null;
    }
    const file = path.join(directory, "recipe.yaml");
    const { recipe } = loadRecipe({ text: await readFile(file, "utf8"), file });
    const rates = ratesOf(await readTail(path.join(directory, "metrics.jsonl")));
    return recipe === null || !isShaped(recipe) || rates.length < ENOUGH_POINTS
      ? null
      : { recipe, rate: median(rates), name: String(manifest.name) };
  } catch {
    return null; // A run that is being made, or not ours to judge here; `runs list` reports it.
  }
}

export async function measuredRate(
  workspace: string,
  recipe: Recipe,
  facts: { readonly vocabSize: number; readonly physicalCores: number; readonly device: Device },
): Promise<MeasuredRate | null> {
  const folder = path.join(workspace, "runs");
  const names = await readdir(folder).catch((): string[] => []);
  const newest = names.toSorted().toReversed().slice(0, NEWEST_RUNS);
  const threads = recipe.threads === "auto" ? facts.physicalCores : recipe.threads;
  let other: MeasuredRate | null = null;
  for (const name of newest) {
    const run = await readRun(path.join(folder, name));
    const runVocabSize = run?.recipe.model.vocab_size;
    // Another device's rate says nothing of this one's.
    if (run === null || runVocabSize === undefined || run.recipe.device !== facts.device) {
      continue;
    }
    const measured = {
      tokensPerSecond: run.rate,
      flopsPerToken: trainingFlopsPerToken(modelConfigOf(run.recipe, runVocabSize), run.recipe.max_seq_len),
      runName: run.name,
    };
    if (runVocabSize === facts.vocabSize && isSameWork(recipe, run.recipe, threads)) {
      return { ...measured, isSameShape: true };
    }
    other ??= { ...measured, isSameShape: false };
  }
  return other;
}
