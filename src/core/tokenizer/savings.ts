// What a vocabulary saves in a given plan: the same text in fewer tokens costs fewer steps, fewer hours, less money. The
// figure is linear in tokens; what the vocabulary's size changes in the output layer is counted, too.
import { findGpu, USUAL_MFU } from "../planner/gpus.ts";
import { trainingFlopsPerToken } from "../planner/model-size.ts";
import { planSource } from "../planner/plan-source.ts";
import { type CompareOptions, compareTokenizers } from "./compare.ts";
import { loadTokenizer } from "./load.ts";

export type SavingsRow = {
  readonly tokenizer: string;
  readonly vocabSize: number;
  /** UTF-8 bytes of the sampled text over its tokens. */
  readonly bytesPerToken: number;
  /** Of the planned text. */
  readonly tokens: number;
  readonly flops: number;
  /** Of one GPU; null where none was named. */
  readonly gpuHours: number | null;
  /** Shares of the first row's; 0.2 is a fifth less. */
  readonly savedTokens: number;
  readonly savedFlops: number;
};

export type Savings = {
  readonly plan: string;
  /** Of the text that training reads, passes counted: the plan's tokens in the first tokenizer's bytes a token. */
  readonly textBytes: number;
  readonly rows: readonly SavingsRow[];
};

export type SavingsOptions = {
  /** A recipe, a preset or a run, as `assay plan` takes it. */
  readonly source: string;
  /** The first is what the others are held against: its tokens are the plan's. */
  readonly tokenizers: readonly string[];
  /** Text to count on. */
  readonly inputs: readonly string[];
  readonly workspace: string;
  readonly gpu: { readonly name: string; readonly mfu: number | null } | null;
} & Pick<CompareOptions, "signal" | "onProgress">;

export async function vocabularySavings(options: SavingsOptions): Promise<Savings> {
  const plan = await planSource({ source: options.source, workspace: options.workspace, cluster: null });
  const { corpus } = await compareTokenizers(options);
  const counted = corpus?.rows ?? [];
  const textBytes = plan.forecast.tokensTotal.value * (counted[0]?.bytesPerToken ?? 0);
  const gpuFlops =
    options.gpu === null ? null : findGpu(options.gpu.name).bf16FlopsPerSecond * (options.gpu.mfu ?? USUAL_MFU);
  const rows: Omit<SavingsRow, "savedTokens" | "savedFlops">[] = [];
  for (const [index, { tokenizer, bytesPerToken }] of counted.entries()) {
    const { vocabSize } = await loadTokenizer(options.tokenizers[index] ?? "", options);
    const tokens = textBytes / bytesPerToken;
    const flops = tokens * trainingFlopsPerToken({ ...plan.config, vocabSize }, plan.config.maxSeqLen);
    const gpuHours = gpuFlops === null ? null : flops / gpuFlops / 3600;
    rows.push({ tokenizer, vocabSize, bytesPerToken, tokens, flops, gpuHours });
  }
  const first = rows[0];
  return {
    plan: plan.name,
    textBytes,
    rows: rows.map((row) => ({
      ...row,
      savedTokens: first === undefined ? 0 : 1 - row.tokens / first.tokens,
      savedFlops: first === undefined ? 0 : 1 - row.flops / first.flops,
    })),
  };
}
