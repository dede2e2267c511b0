// The training loop: a call of the engine for each optimizer step, and between steps whatever is due. Everything that
// decides anything is a function of the step, so that a resumed run repeats an uninterrupted one bit for bit.
import { gpuPeak } from "#core/planner/gpus";
import { trainingFlopsPerToken } from "#core/planner/model-size";
import type { BaseReference } from "#core/runs/adapter-base";
import { formatRecord, type MetricRecord, type MetricsWriter, metricsFile } from "#core/runs/metrics";
import { peakMemoryBytes } from "#core/runs/peak-memory";
import type { PreparedTraining, TrainingModel } from "#core/runs/prepare";
import { isDue, isFinished, learningRate } from "#core/runs/schedule";
import type { TrainingBatch } from "#core/runs/training-source";
import { parseDuration } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import { saveCheckpoint } from "./checkpointing.ts";
import { evaluateHeldOut, writeSamples } from "./evaluate.ts";
import type { Interrupts } from "./interrupts.ts";
import type { RunJournal } from "./journal.ts";
import { killInLine, killPoint } from "./kill-point.ts";
import { RateMeter, type TrainingProgress } from "./progress.ts";

const logEverySeconds = 10;
/** A shorter wait for text is not worth a word. */
const waitShownAfterMs = 1000;

type LoopContext = {
  readonly prepared: PreparedTraining;
  readonly trained: TrainingModel;
  readonly metrics: MetricsWriter;
  readonly journal: RunJournal;
  readonly interrupts: Interrupts;
  /** Where training goes on. */
  readonly from: TrainingProgress;
  /** What the newest checkpoint holds; null where there is none. */
  readonly saved: TrainingProgress | null;
  /** The model under a LoRA run's adapter. */
  readonly base: BaseReference | null;
};

export class TrainingLoop {
  readonly #context: LoopContext;
  readonly #rate = new RateMeter();
  #progress: TrainingProgress;
  #saved: TrainingProgress | null;
  #lastLogAt = -Infinity;

  constructor(context: LoopContext) {
    this.#context = context;
    this.#progress = context.from;
    this.#saved = context.saved;
  }

  get progress(): TrainingProgress {
    return this.#progress;
  }

  async run(): Promise<"completed" | "stopped"> {
    const { prepared, journal, interrupts } = this.#context;
    const maxDuration = parseDuration(prepared.recipe.max_duration);
    if (this.#progress.isEvaluationDue) {
      await this.#evaluate({ ...this.#axes() });
    }
    await this.#awaitFirstShards();
    journal.phase({ name: `step ${this.#progress.step + 1}` });
    while (!isFinished(maxDuration, prepared.facts, this.#progress)) {
      await this.#obey();
      if (interrupts.stopReason !== null) {
        await journal.write({ status: "stopping", phase: { name: "writing a checkpoint" } });
        await this.#save();
        return "stopped";
      }
      const asked = performance.now();
      const batch = await this.#take();
      if (batch !== null) {
        await this.#step(batch, (performance.now() - asked) / 1000);
        journal.check();
      }
    }
    await this.#save();
    return this.#progress.isEvaluationDue ? "stopped" : "completed"; // a stop came in the middle of the last evaluation
  }

  /** The first wait of a stream, which is told as a phase and not counted as a stall. */
  async #awaitFirstShards(): Promise<void> {
    const { prepared, journal, interrupts } = this.#context;
    if (!prepared.training.isStream || interrupts.stopReason !== null) {
      return;
    }
    journal.phase({ name: "fetching the first shards" });
    try {
      await prepared.training.ready();
    } catch (error) {
      if (interrupts.stopReason === null) {
        throw error;
      }
    }
  }

  /**
   * The batch of the next step; null where a stop came while it was waited for. When the text cannot be had any more, what
   * was trained until now is kept first.
   */
  async #take(): Promise<TrainingBatch | null> {
    const { prepared, journal, interrupts } = this.#context;
    const waiting = setTimeout(() => journal.progress({ phase: { name: "waiting for shards" } }), waitShownAfterMs);
    try {
      return await prepared.training.next(this.#progress.step + 1);
    } catch (error) {
      if (interrupts.stopReason !== null) {
        return null;
      }
      if (this.#progress.step > 0) {
        await this.#save();
      }
      throw error;
    } finally {
      clearTimeout(waiting);
    }
  }

  /** `waitedSeconds` for the batch are part of the step. */
  async #step(batch: TrainingBatch, waitedSeconds: number): Promise<void> {
    const { prepared, trained, journal } = this.#context;
    const { recipe, facts } = prepared;
    const before = this.#progress;
    const step = before.step + 1;
    const lr = learningRate({
      lr: recipe.optimizer.lr,
      tWarmup: parseDuration(recipe.scheduler.t_warmup),
      alphaF: recipe.scheduler.alpha_f,
      maxDuration: parseDuration(recipe.max_duration),
      facts,
      progress: before,
    });
    const begin = performance.now();
    const pending = trained.model.trainStep({ ...batch.input, step, lr });
    killPoint("in-step", step);
    const result = await pending;
    const seconds = waitedSeconds + (performance.now() - begin) / 1000;
    if (!result.applied) {
      await this.#append({ ...this.#axes(), step, "train/loss": result.loss, "train/grad_norm": result.gradNorm });
      const what = Number.isFinite(result.loss)
        ? `gradient norm at step ${step} is ${result.gradNorm}`
        : `loss at step ${step} is ${result.loss}`;
      throw new AppError(
        "LOSS_NOT_FINITE",
        `The ${what}, so the weights were left as they were; lower optimizer.lr or lengthen scheduler.t_warmup and ${this.#resumeHint()}.`,
      );
    }
    this.#rate.add(result.tokens, seconds);
    const after: TrainingProgress = {
      ...before,
      step,
      tokens: before.tokens + result.tokens,
      time: before.time + seconds,
      place: batch.after,
      evaluation: null,
    };
    const isLast = isFinished(parseDuration(recipe.max_duration), facts, after);
    const isEvaluationDue = isLast || isDue(parseDuration(recipe.eval_interval), facts, before, after);
    this.#progress = { ...after, isEvaluationDue };
    const isLogDue = isEvaluationDue || isDue(parseDuration(recipe.log_interval), facts, before, after);
    journal.progress({ step, tokens: after.tokens, phase: null });
    const record: MetricRecord = {
      ...this.#axes(),
      "train/loss": result.loss,
      "train/learning_rate": lr,
      "train/grad_norm": result.gradNorm,
      "throughput/tokens_per_second": Math.round(this.#rate.tokensPerSecond * 10) / 10,
      ...this.#mfu(),
      ...(isLogDue ? prepared.training.takeMetrics() : {}),
      "memory/peak_bytes":
        prepared.device.gpu === null ? await peakMemoryBytes() : this.#context.trained.plan.totalBytes,
    };
    if (isEvaluationDue) {
      await this.#evaluate(record);
    } else if (isLogDue) {
      await this.#append(record);
    }
    await this.#logStep(result.loss, isLast);
    if (!isLast && isDue(parseDuration(recipe.save_interval), facts, before, after)) {
      await this.#save();
    }
  }

  /** The share of the GPU's best that training reaches; nothing on a processor, or on a GPU that is in no table. */
  #mfu(): { readonly "throughput/mfu"?: number } {
    const { recipe, device, modelConfig } = this.#context.prepared;
    const peak = device.gpu === null ? null : gpuPeak(device.gpu.name, recipe.precision);
    if (peak === null) {
      return {};
    }
    const flops = this.#rate.tokensPerSecond * trainingFlopsPerToken(modelConfig, recipe.max_seq_len);
    return { "throughput/mfu": Number((flops / peak.flopsPerSecond).toPrecision(4)) };
  }

  /** Appends `record` with the evaluation in it. After a stop the record goes without, and a resume adds it. */
  async #evaluate(record: MetricRecord): Promise<void> {
    const { prepared, trained, journal, interrupts } = this.#context;
    const begin = performance.now();
    const evaluation = await evaluateHeldOut(prepared, trained, journal, interrupts.signal);
    if (evaluation === undefined) {
      if (record["train/loss"] !== undefined) {
        await this.#append(record);
      }
      return;
    }
    const { step } = this.#progress;
    const { loss, perplexity, bitsPerByte, sentenceOrderLoss } = evaluation;
    const isUsable = Number.isFinite(loss) && Number.isFinite(perplexity);
    const isBest = isUsable && loss < (this.#progress.best?.value ?? Infinity);
    this.#progress = {
      ...this.#progress,
      isEvaluationDue: false,
      evaluation: isUsable ? { loss, perplexity, bits_per_byte: bitsPerByte } : null,
      best: isBest ? { metric: "eval/loss", value: loss, step } : this.#progress.best,
    };
    await this.#append({
      ...record,
      "eval/loss": loss,
      "eval/perplexity": perplexity,
      ...(bitsPerByte === null ? {} : { "eval/bits_per_byte": bitsPerByte }),
      ...(sentenceOrderLoss === null ? {} : { "eval/sentence_order_loss": sentenceOrderLoss }),
    });
    journal.progress({ best: this.#progress.best });
    await journal.log(
      `Step ${step}: held-out loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(2)}${bitsPerByte === null ? " of masked tokens" : `, ${bitsPerByte.toFixed(4)} bits/byte`}.`,
    );
    await writeSamples(prepared, trained, step, journal.directory, interrupts.signal);
    this.#progress = { ...this.#progress, time: this.#progress.time + (performance.now() - begin) / 1000 };
  }

  /** Does what the control files ask for, between two steps. Stopping is left to the caller. */
  async #obey(): Promise<void> {
    const { journal, interrupts } = this.#context;
    if (interrupts.isRequested("checkpoint")) {
      await this.#save();
      await interrupts.done("checkpoint");
    }
    if (interrupts.isRequested("pause") && interrupts.stopReason === null) {
      await journal.write({ status: "paused", phase: null });
      await journal.log(`Paused after step ${this.#progress.step}.`);
      await interrupts.done("pause");
      for (;;) {
        if (interrupts.isRequested("checkpoint")) {
          await this.#save();
          await interrupts.done("checkpoint");
        } else if (interrupts.isRequested("pause")) {
          await interrupts.done("pause"); // asked again
        } else if (interrupts.isRequested("unpause") || interrupts.stopReason !== null) {
          break;
        } else {
          await interrupts.next();
        }
      }
      if (interrupts.stopReason === null) {
        await journal.write({ status: "running" });
        await journal.log(`Goes on after step ${this.#progress.step}.`);
      }
    }
    if (interrupts.isRequested("unpause")) {
      await interrupts.done("unpause");
    }
  }

  /** Writes a checkpoint unless there is one that says the same. What was measured until now is on the disk before it. */
  async #save(): Promise<void> {
    const { prepared, trained, metrics, journal, base } = this.#context;
    if (this.#saved?.step === this.#progress.step && this.#saved.isEvaluationDue === this.#progress.isEvaluationDue) {
      return;
    }
    const begin = performance.now();
    await metrics.sync();
    await saveCheckpoint(prepared, trained, this.#progress, journal, base);
    this.#saved = this.#progress;
    this.#progress = { ...this.#progress, time: this.#progress.time + (performance.now() - begin) / 1000 };
  }

  #axes(): MetricRecord {
    const { step, tokens, time, place } = this.#progress;
    return { step, tokens, epoch: place.epoch, time: Math.round(time * 1e6) / 1e6 };
  }

  async #append(record: MetricRecord): Promise<void> {
    killInLine(metricsFile(this.#context.journal.directory), formatRecord(record), record.step);
    await this.#context.metrics.append(record);
    killPoint("after-line", record.step);
  }

  async #logStep(loss: number, isLast: boolean): Promise<void> {
    const now = performance.now();
    if (!isLast && now - this.#lastLogAt < logEverySeconds * 1000) {
      return;
    }
    this.#lastLogAt = now;
    const { step, tokens } = this.#progress;
    const total = this.#context.journal.manifest.total_steps;
    await this.#context.journal.log(
      `Step ${step}${total === null ? "" : ` of ${total}`}: loss ${loss.toFixed(4)}, ${tokens} tokens, ${Math.round(this.#rate.tokensPerSecond)} tokens/s.`,
    );
  }

  #resumeHint(): string {
    return this.#saved === null
      ? "resume: it begins again, there is no checkpoint yet"
      : `resume: it goes on from step ${this.#saved.step}`;
  }
}
