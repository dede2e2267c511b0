// What the main job is judged by once its run has ended: held-out figures before and after, beside count models of the
// very same tokens, and what the model writes.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { scoreDocuments, trainTrigram, trainUnigram } from "#core/baselines/ngram";
import { readTokenDocuments } from "#core/baselines/token-documents";
import { foldMetrics, type MetricRecord, readMetrics } from "#core/runs/metrics";
import { AppError } from "#shared/errors";

export type HeldOutFigures = { readonly perplexity: number; readonly bitsPerByte: number };
export type QuickstartSample = { readonly prompt: string; readonly text: string };
export type QuickstartReport = {
  readonly before: HeldOutFigures;
  readonly after: HeldOutFigures;
  readonly unigram: HeldOutFigures;
  readonly trigram: HeldOutFigures;
  readonly steps: number;
  readonly tokens: number;
  readonly documents: { readonly train: number; readonly heldOut: number };
  readonly samples: readonly QuickstartSample[];
};

function heldOutFigures(record: MetricRecord | undefined, which: string): HeldOutFigures {
  const perplexity = record?.["eval/perplexity"];
  const bitsPerByte = record?.["eval/bits_per_byte"];
  if (perplexity === undefined || bitsPerByte === undefined) {
    throw new AppError(
      "RUN_STATE_WRONG",
      `The run has no ${which} evaluation in metrics.jsonl; look into its log.txt.`,
    );
  }
  return { perplexity, bitsPerByte };
}

function toFigures(score: { readonly nats: number; readonly tokenCount: number }, textBytes: number): HeldOutFigures {
  return { perplexity: Math.exp(score.nats / score.tokenCount), bitsPerByte: score.nats / Math.LN2 / textBytes };
}

/** The samples of the last evaluation, in the order of their prompts. */
async function lastSamples(run: string): Promise<readonly QuickstartSample[]> {
  const text = await readFile(path.join(run, "samples.jsonl"), "utf8");
  const samples: { readonly step: number; readonly prompt: string; readonly text: string }[] = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  const lastStep = Math.max(...samples.map((sample) => sample.step));
  return samples.filter((sample) => sample.step === lastStep);
}

/** `trainCache` and `evalCache` are the token caches the run was trained and evaluated on. */
export async function quickstartReport(run: string, trainCache: string, evalCache: string): Promise<QuickstartReport> {
  const { records } = foldMetrics((await readMetrics(run)).lines);
  const evaluations = records.filter((record) => "eval/perplexity" in record);
  const last = evaluations.at(-1);
  const [train, heldOut] = [await readTokenDocuments(trainCache), await readTokenDocuments(evalCache)];
  const unigram = trainUnigram(train.documents, train.vocabSize, train.endOfTextId);
  const trigram = trainTrigram(train.documents, train.vocabSize, train.endOfTextId);
  return {
    before: heldOutFigures(evaluations[0], "first"),
    after: heldOutFigures(last, "last"),
    unigram: toFigures(scoreDocuments(unigram, heldOut.documents, heldOut.endOfTextId), heldOut.textBytes),
    trigram: toFigures(scoreDocuments(trigram, heldOut.documents, heldOut.endOfTextId), heldOut.textBytes),
    steps: last?.step ?? 0,
    tokens: last?.["tokens"] ?? 0,
    documents: { train: train.documents.length, heldOut: heldOut.documents.length },
    samples: await lastSamples(run),
  };
}
