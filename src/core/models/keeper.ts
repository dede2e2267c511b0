// Keeps the model that was spoken with last, so that a second prompt does not read its weights again. One generation at
// a time: a model's KV cache and threads are its own.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { StreamHandlers } from "#shared/ipc/contract";
import type { modelsContract } from "#shared/ipc/models.contract";
import { generateText } from "./generate.ts";
import { type LoadedModel, loadGenerator } from "./load.ts";

type Kept = { readonly source: string; readonly stamp: string; readonly loaded: LoadedModel };

/** Changes when any of the model's files of weights does. */
async function stampOf(source: string): Promise<string> {
  const names = await readdir(source).catch(() => null);
  const files = names === null ? [source] : names.filter(isWeightFile).map((name) => path.join(source, name));
  const stamps = await Promise.all(
    files.map(async (file) => {
      const info = await stat(file).catch(() => null);
      return info === null ? "-" : `${info.ino}:${info.mtimeMs}:${info.size}`;
    }),
  );
  return stamps.join(" ");
}

function isWeightFile(name: string): boolean {
  return /\.(safetensors|bin)$/.test(name);
}

export class ModelKeeper {
  readonly #workspace: () => string;
  #kept: Kept | null = null;
  #isBusy = false;

  constructor(workspace: () => string) {
    this.#workspace = workspace;
  }

  readonly generate: StreamHandlers<typeof modelsContract>["models.generate"] = async (input, emit, { signal }) => {
    if (this.#isBusy) {
      throw new AppError("ENGINE_BUSY", "The playground is still generating; stop that first.");
    }
    this.#isBusy = true;
    try {
      const loaded = await this.#load(input.model);
      return await generateText(loaded, input, emit, { signal });
    } finally {
      this.#isBusy = false;
    }
  };

  async #load(source: string): Promise<LoadedModel> {
    const kept = this.#kept;
    if (kept !== null && kept.source === source && kept.stamp === (await stampOf(kept.loaded.source))) {
      return kept.loaded;
    }
    kept?.loaded.model.dispose();
    this.#kept = null;
    const loaded = await loadGenerator(source, { workspace: this.#workspace() });
    this.#kept = { source, stamp: await stampOf(loaded.source), loaded };
    return loaded;
  }
}
