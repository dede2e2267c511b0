// A trace of a run: finds its caches and what its recipe says of the order; a run that streamed is traced shard by shard.
import { AppError } from "#shared/errors";
import { orderChanges } from "../runs/branch.ts";
import { runCaches } from "../runs/caches.ts";
import { findRun } from "../runs/directory.ts";
import { readManifest } from "../runs/manifest.ts";
import { readRunRecipe } from "../runs/prepare.ts";
import { findsStream } from "../runs/prepare-text.ts";
import { type Trace, traceSequence, traceTokens } from "./trace.ts";
import { traceStream } from "./trace-stream.ts";

export type TracePlace =
  /** Both from 1. */
  | { readonly step: number; readonly sequence: number }
  /** Of the training text, from 0. */
  | { readonly token: number };

export type TraceOptions = { readonly onNotice?: (sentence: string) => void };

export async function traceRun(
  workspace: string,
  run: string,
  place: TracePlace,
  options: TraceOptions = {},
): Promise<Trace> {
  const directory = await findRun(workspace, run);
  const { recipe } = await readRunRecipe(directory);
  if (await findsStream(recipe)) {
    if ("token" in place) {
      throw new AppError(
        "BAD_ARGUMENT",
        "The tokens of a stream are numbered shard by shard, not through all of its text; name a step and a sequence of it (--step, --sequence).",
      );
    }
    const { branched_from: branch } = await readManifest(directory);
    if (branch !== null && place.step <= branch.step) {
      const { isOtherText, isOtherOrder } = orderChanges(branch.changed);
      if (isOtherText || isOtherOrder) {
        // The run it began from took this step, in an order of its own.
        return traceRun(workspace, branch.run, place, options);
      }
    }
    return traceStream({ workspace, directory, recipe, ...options }, place);
  }
  const caches = await runCaches(directory, { workspace });
  return "token" in place
    ? traceTokens(caches.train, place.token, 1)
    : traceSequence(caches.train, {
        sequenceLength: recipe.max_seq_len,
        batchSize: recipe.global_train_batch_size,
        shuffleSeed: recipe.data.shuffle_seed,
        ...place,
      });
}
