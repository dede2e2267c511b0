// Keeps the model that was spoken with last, so that a second prompt does not read its weights again. One generation at
// a time: a model's KV cache and threads are its own.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { StreamHandlers } from "#shared/ipc/contract";
import type { modelsContract } from "#shared/ipc/models.contract";
import type { NativeWeightType } from "../engine/addon.ts";
import { pieceText } from "../tokenizer/pieces.ts";
import { type GeneratedPiece, type GenerationReport, generateText, generateTexts } from "./generate.ts";
import { type LoadedModel, loadGenerator } from "./load.ts";

type Kept = {
  readonly source: string;
  readonly weights: NativeWeightType;
  readonly stamp: string;
  readonly loaded: LoadedModel;
};

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

/** One report of several continuations. */
function together(reports: readonly GenerationReport[]): GenerationReport {
  return {
    promptTokens: Math.max(...reports.map(({ promptTokens }) => promptTokens)),
    newTokens: reports.reduce((sum, { newTokens }) => sum + newTokens, 0),
    promptSeconds: Math.max(...reports.map(({ promptSeconds }) => promptSeconds)),
    seconds: Math.max(...reports.map(({ seconds }) => seconds)),
    stopReason:
      reports.find(({ stopReason }) => stopReason === "cancelled")?.stopReason ??
      (reports.every(({ stopReason }) => stopReason === "stop") ? "stop" : "length"),
  };
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
      const loaded = await this.#load(input.model, input.weights);
      const { alternatives: topLogprobs, samples, ...request } = input;
      const textOf = (id: number): string => pieceText(loaded.tokenizer.tokenBytes(id));
      const tell = ({ text, id, logprob, index, alternatives = [] }: GeneratedPiece, sample: number): void =>
        emit({
          text,
          id,
          logprob,
          index,
          sample,
          alternatives: alternatives.map((each) => ({ ...each, text: textOf(each.id) })),
        });
      if (samples === 1) {
        return await generateText(loaded, { ...request, topLogprobs }, (piece) => tell(piece, 0), { signal });
      }
      const requests = Array.from({ length: samples }, (_, sample) => ({
        ...request,
        topLogprobs,
        seed: request.seed + sample,
      }));
      return together(await generateTexts(loaded, requests, { signal, onPiece: tell }));
    } finally {
      this.#isBusy = false;
    }
  };

  async #load(source: string, weights: NativeWeightType): Promise<LoadedModel> {
    const kept = this.#kept;
    if (
      kept !== null &&
      kept.source === source &&
      kept.weights === weights &&
      kept.stamp === (await stampOf(kept.loaded.source))
    ) {
      return kept.loaded;
    }
    kept?.loaded.model.dispose();
    this.#kept = null;
    const loaded = await loadGenerator(source, { workspace: this.#workspace(), weights });
    this.#kept = { source, weights, stamp: await stampOf(loaded.source), loaded };
    return loaded;
  }
}
