// What goes into a checkpoint and how it is taken up again: weights and tokenizer as Transformers reads them, the
// optimizer's moments, and training_state.json, which is all that a resume needs besides the recipe.
import { copyFile, readdir } from "node:fs/promises";
import path from "node:path";
import { adapterWeightsName, writeAdapterFolder } from "#core/models/adapter";
import { weightsName, writeModelFiles } from "#core/models/hugging-face";
import { type BaseReference, checkSameBase } from "#core/runs/adapter-base";
import {
  type CheckpointStage,
  rotateCheckpoints,
  TRAINING_STATE_VERSION,
  type TrainingState,
  type WholeCheckpoint,
  writeCheckpoint,
} from "#core/runs/checkpoints";
import { loadFirstWeights } from "#core/runs/first-weights";
import { type PreparedTraining, type TrainingModel, tokenizerFolder } from "#core/runs/prepare";
import type { TrainingPlace } from "#core/runs/training-source";
import { AppError } from "#shared/errors";
import type { RunJournal } from "./journal.ts";
import { type KillPoint, killPoint } from "./kill-point.ts";
import type { TrainingProgress } from "./progress.ts";

const optimizerName = "optimizer.safetensors";
/** Tokenizer, configuration and headers beside the tensors, generously. */
const smallFilesBytes = 16 * 1024 * 1024;

/** What a checkpoint takes on the disk: of a LoRA run only what is trained, whose gradients have its size. */
export function checkpointBytes({ plan }: TrainingModel, prepared: PreparedTraining): number {
  const { lora } = prepared.modelOptions;
  const tensorBytes = lora === null || lora === undefined ? plan.parameterBytes : plan.gradientBytes;
  return tensorBytes + plan.optimizerBytes + Math.min(smallFilesBytes, 2 * prepared.tokenizerBytes + 256 * 1024);
}

const stageKillPoints: Readonly<Record<CheckpointStage, KillPoint>> = {
  begun: "checkpoint-begun",
  "files-written": "checkpoint-files-written",
  "before-rename": "checkpoint-before-rename",
  "after-rename": "checkpoint-after-rename",
};

export async function saveCheckpoint(
  prepared: PreparedTraining,
  trained: TrainingModel,
  progress: TrainingProgress,
  journal: RunJournal,
  /** The model under a LoRA run's adapter. */
  base: BaseReference | null,
): Promise<WholeCheckpoint> {
  const { recipe } = prepared;
  const { directory, manifest } = journal;
  const { stream, epoch } = progress.place;
  const state: Omit<TrainingState, "files"> = {
    format_version: TRAINING_STATE_VERSION,
    run: manifest.id,
    created_at: new Date().toISOString(),
    step: progress.step,
    tokens: progress.tokens,
    time: progress.time,
    data: {
      fingerprint: prepared.fingerprint,
      shuffle_seed: recipe.data.shuffle_seed,
      next_sample: progress.step * recipe.global_train_batch_size,
      stream: stream === null ? null : { ...stream, passes: epoch },
    },
    random_state: { generator: "philox4x32-10", seed: recipe.seed },
    is_evaluation_due: progress.isEvaluationDue,
    eval: progress.evaluation,
    best: progress.best,
    base,
  };
  const { lora } = prepared.modelOptions;
  const tokenizer = tokenizerFolder(directory);
  const { checkpoint, setAside } = await writeCheckpoint({
    runDirectory: directory,
    state,
    neededBytes: checkpointBytes(trained, prepared),
    writeFiles: async (folder) => {
      if (lora === null || lora === undefined) {
        await trained.model.saveWeights(path.join(folder, weightsName));
      } else {
        await writeAdapterFolder(folder, trained.model, {
          config: prepared.modelConfig,
          lora,
          base: base?.path ?? `random weights of seed ${recipe.seed}`,
        });
      }
      await trained.model.saveOptimizer(path.join(folder, optimizerName));
      const { masking } = prepared.trainingOptions;
      await writeModelFiles(folder, prepared.modelConfig, prepared.endOfTextId, { padId: masking?.padId ?? null });
      for (const name of await readdir(tokenizer)) {
        // What a causal model's tokenizer says of itself has just been written, with the model's context.
        if (masking !== null || name !== "tokenizer_config.json") {
          await copyFile(path.join(tokenizer, name), path.join(folder, name));
        }
      }
    },
    onStage: (stage) => killPoint(stageKillPoints[stage], progress.step),
  });
  if (setAside !== null) {
    await journal.log(`A damaged checkpoint stood in the place of step ${progress.step}; it is now ${setAside}.`);
  }
  const removed = await rotateCheckpoints(directory, manifest.id, recipe.save_num_checkpoints_to_keep);
  killPoint("after-rotation", progress.step);
  const gone = removed.length === 0 ? "" : `; step ${removed.join(", ")} made room`;
  await journal.log(`Checkpoint of step ${progress.step} written${gone}.`);
  return checkpoint;
}

function keptPlace(kept: TrainingState["data"]["stream"]): TrainingPlace | null {
  if (kept === null) {
    return null;
  }
  const { passes, ...stream } = kept;
  return { epoch: passes, stream };
}

/** Loads weights and moments; says where training goes on. `base` as in saveCheckpoint. */
export async function loadCheckpoint(
  checkpoint: WholeCheckpoint,
  prepared: PreparedTraining,
  { model }: TrainingModel,
  base: BaseReference | null,
): Promise<TrainingProgress> {
  const { state } = checkpoint;
  const mismatch =
    state.data.fingerprint !== null && state.data.fingerprint !== prepared.fingerprint
      ? "its training text is not the one found now; put the text back as it was, or start a new run"
      : state.data.shuffle_seed !== prepared.recipe.data.shuffle_seed ||
          state.random_state.seed !== prepared.recipe.seed
        ? "its seeds are not the recipe's; set them back"
        : state.data.next_sample !== state.step * prepared.recipe.global_train_batch_size
          ? "its global_train_batch_size is not the recipe's; set it back"
          : null;
  if (mismatch !== null) {
    throw new AppError("CHECKPOINT_MISMATCH", `Cannot go on from ${checkpoint.path}: ${mismatch}.`);
  }
  const { lora } = prepared.modelOptions;
  if (lora === null || lora === undefined) {
    await model.loadWeights(path.join(checkpoint.path, weightsName));
  } else {
    if (state.base !== null && base !== null) {
      checkSameBase(state.base, base, checkpoint.path);
    }
    await loadFirstWeights(model, prepared);
    await model.loadAdapter(path.join(checkpoint.path, adapterWeightsName));
  }
  await model.loadOptimizer(path.join(checkpoint.path, optimizerName));
  return {
    step: state.step,
    tokens: state.tokens,
    time: state.time,
    place: prepared.training.placeAfter(state.step, keptPlace(state.data.stream)),
    evaluation: state.eval,
    isEvaluationDue: state.is_evaluation_due,
    best: state.best,
  };
}
