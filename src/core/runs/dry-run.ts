// `assay train --dry-run`: does what the runner would do up to a few steps, keeps nothing but the token cache, and says what
// the whole will take. Measured, not estimated.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Device, parseDuration, type Recipe } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import { loadAddon, type NativeMemoryPlan } from "../engine/addon.ts";
import { loadFirstWeights } from "./first-weights.ts";
import { peakMemoryBytes } from "./peak-memory.ts";
import { allocateTraining, prepareTraining } from "./prepare.ts";
import { learningRate, totalSteps } from "./schedule.ts";

export type DryRun = {
  readonly secondsPerStep: number;
  readonly tokensPerSecond: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly device: Device;
  readonly threads: number;
  readonly microbatchSize: number;
  readonly parameters: number;
  readonly plan: NativeMemoryPlan;
  /** The most memory this process has held. */
  readonly peakBytes: number;
  readonly totalSteps: number;
  readonly totalTokens: number;
  readonly totalSeconds: number;
  readonly diskBytes: number;
};

/** The first step also warms up caches and threads, so the second is the one that is timed. */
const steps = 2;

export async function dryRun(options: {
  /** Its paths absolute. */
  readonly recipe: Recipe;
  readonly workspace: string;
  readonly onPhase: (name: string) => void;
  readonly signal?: AbortSignal;
}): Promise<DryRun> {
  const addon = loadAddon();
  const directory = await mkdtemp(path.join(tmpdir(), "assay-dry-run-"));
  let lastPhase = "";
  const onPhase = ({ name }: { readonly name: string }): void => {
    if (name !== lastPhase) {
      lastPhase = name;
      options.onPhase(name);
    }
  };
  try {
    const prepared = await prepareTraining({
      recipe: options.recipe,
      addon,
      directory,
      workspace: options.workspace,
      signal: options.signal ?? new AbortController().signal,
      onPhase,
      onNotice: options.onPhase,
    });
    try {
      const {
        model,
        plan,
        prepared: { recipe, facts },
      } = await allocateTraining(addon, prepared, onPhase, options.onPhase);
      try {
        await loadFirstWeights(model, prepared);
        const { training } = prepared;
        training.begin(training.placeAfter(0, null));
        if (training.isStream) {
          onPhase({ name: "fetching the first shards" });
        }
        await training.ready();
        const maxDuration = parseDuration(recipe.max_duration);
        let loss = Number.NaN;
        let gradNorm = Number.NaN;
        let seconds = 0;
        for (let step = 1; step <= steps; step += 1) {
          onPhase({ name: `step ${step}` });
          const progress = { step: step - 1, tokens: 0, time: 0 };
          const lr = learningRate({
            lr: recipe.optimizer.lr,
            tWarmup: parseDuration(recipe.scheduler.t_warmup),
            alphaF: recipe.scheduler.alpha_f,
            maxDuration,
            facts,
            progress,
          });
          const { input } = await training.next(step);
          const begin = performance.now();
          const result = await model.trainStep({ ...input, step, lr });
          seconds = (performance.now() - begin) / 1000;
          ({ loss, gradNorm } = result);
          if (!result.applied) {
            throw new AppError(
              "LOSS_NOT_FINITE",
              `The loss at step ${step} is ${loss}; lower optimizer.lr or lengthen scheduler.t_warmup.`,
            );
          }
        }
        const tokensPerStep = recipe.global_train_batch_size * recipe.max_seq_len;
        const stepCount = totalSteps(maxDuration, facts) ?? Math.max(1, Math.round(maxDuration.value / seconds));
        // A LoRA run keeps what is trained, whose gradients have its size.
        const tensorBytes = recipe.model.lora === undefined ? plan.parameterBytes : plan.gradientBytes;
        const checkpointBytes = tensorBytes + plan.optimizerBytes + prepared.tokenizerBytes;
        return {
          secondsPerStep: seconds,
          tokensPerSecond: tokensPerStep / seconds,
          loss,
          gradNorm,
          device: recipe.device,
          threads: recipe.threads,
          microbatchSize: recipe.device_train_microbatch_size,
          parameters: model
            .parameters()
            .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
          plan,
          peakBytes: await peakMemoryBytes(),
          totalSteps: stepCount,
          totalTokens: stepCount * tokensPerStep,
          totalSeconds: stepCount * seconds,
          // The newest and the best.
          diskBytes: (recipe.save_num_checkpoints_to_keep + 1) * checkpointBytes,
        };
      } finally {
        model.dispose();
      }
    } finally {
      await prepared.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
