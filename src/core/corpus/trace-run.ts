// A trace of a run: finds its caches and what its recipe says of the order.
import { runCaches } from "../runs/caches.ts";
import { findRun } from "../runs/directory.ts";
import { readRunRecipe } from "../runs/prepare.ts";
import { type Trace, traceSequence, traceTokens } from "./trace.ts";

export type TracePlace =
  /** Both from 1. */
  | { readonly step: number; readonly sequence: number }
  /** Of the training text, from 0. */
  | { readonly token: number };

export async function traceRun(workspace: string, run: string, place: TracePlace): Promise<Trace> {
  const directory = await findRun(workspace, run);
  const { recipe } = await readRunRecipe(directory);
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
