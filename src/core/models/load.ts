// A model one can use: a checkpoint folder, or a run's newest whole checkpoint, with its tokenizer.
import { stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { loadAddon, type NativeModel, type NativeModelConfig, type NativeTokenizer } from "../engine/addon.ts";
import { newestWholeCheckpoint } from "../runs/checkpoints.ts";
import { findRun } from "../runs/directory.ts";
import { loadTokenizer } from "../tokenizer/load.ts";
import { readModelConfig, weightsName } from "./hugging-face.ts";

export type LoadedModel = {
  /** The caller disposes it. */
  readonly model: NativeModel;
  readonly tokenizer: NativeTokenizer;
  readonly config: NativeModelConfig;
  /** The checkpoint folder. */
  readonly directory: string;
};

async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null))?.isFile() ?? false;
}

/** The checkpoint folder that `source` names: itself, or the newest of a run (by directory, id or name). */
export async function findModel(source: string, workspace: string): Promise<string> {
  const folder = path.resolve(source);
  if (await isFile(path.join(folder, "config.json"))) {
    return folder;
  }
  let run: string;
  try {
    run = await findRun(workspace, source);
  } catch (error) {
    if (error instanceof AppError && error.code === "RUN_NOT_FOUND") {
      throw new AppError(
        "CHECKPOINT_NOT_FOUND",
        `"${source}" is neither a folder with config.json and ${weightsName} nor a run in ${workspace}.`,
        { cause: error },
      );
    }
    throw error;
  }
  const { checkpoint, problems } = await newestWholeCheckpoint(run, "sizes");
  if (checkpoint === null) {
    throw new AppError(
      "CHECKPOINT_NOT_FOUND",
      problems[0] ?? `The run ${path.basename(run)} has no checkpoint yet; \`assay checkpoint\` asks it for one.`,
    );
  }
  return checkpoint.path;
}

export async function loadModel(
  source: string,
  options: { readonly workspace: string; readonly threads?: number },
): Promise<LoadedModel> {
  const directory = await findModel(source, options.workspace);
  const config = await readModelConfig(directory);
  const addon = loadAddon();
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new AppError(
      "TOKENIZER_MODEL_MISMATCH",
      `${directory} does not fit together: its tokenizer has ${tokenizer.vocabSize} tokens, its model ${config.vocabSize} rows.`,
    );
  }
  const model = addon.createModel(config, { threads: options.threads ?? addon.machine().physicalCores });
  try {
    await model.loadWeights(path.join(directory, weightsName));
  } catch (error) {
    model.dispose();
    throw error;
  }
  return { model, tokenizer, config, directory };
}
