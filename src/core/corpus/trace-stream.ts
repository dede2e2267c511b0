// A trace of a run that streamed. Where a step began the nearest checkpoint before it knows; from there the order is walked,
// and the shard that is found is the text in which the documents are looked up.
import { readFile } from "node:fs/promises";
import type { Recipe } from "#shared/domain/recipe";
import { type StreamPosition, streamStart } from "#shared/domain/stream-order";
import { AppError } from "#shared/errors";
import { nextPass, orderChanges } from "../runs/branch.ts";
import { type WholeCheckpoint, wholeCheckpoints } from "../runs/checkpoints.ts";
import { findRun, workspaceOfRun } from "../runs/directory.ts";
import { readManifest } from "../runs/manifest.ts";
import { readRunRecipe, tokenizerFolder } from "../runs/prepare.ts";
import { streamOptions } from "../runs/prepare-text.ts";
import { type LocatedWindow, openTokenStream, type TokenStream } from "../streaming/token-stream.ts";
import { sampleId, TOKENS_COLUMN } from "./mds/documents.ts";
import { mdsError } from "./mds/index-file.ts";
import { shownAddress } from "./mds/index-source.ts";
import { MdsShard } from "./mds/shard.ts";
import { checkSequence, type Trace, type TracedDocument, traceTokens } from "./trace.ts";

export type StreamedRun = {
  readonly workspace: string;
  readonly directory: string;
  readonly recipe: Recipe;
  readonly onNotice?: (sentence: string) => void;
};

/** The place in the order after so many steps. */
type Waypoint = { readonly steps: number; readonly position: StreamPosition };

/** Shards that are other than those the run read would name the wrong documents. */
function checkSameText(stream: TokenStream, checkpoints: readonly WholeCheckpoint[]): void {
  const known = checkpoints.find(({ state }) => state.data.fingerprint !== null);
  if (known !== undefined && known.state.data.fingerprint?.startsWith(`${stream.fingerprint}-`) !== true) {
    throw new AppError(
      "CHECKPOINT_MISMATCH",
      `The shards found now are not those of ${known.path}, so what it read cannot be told; put them back as they were.`,
    );
  }
}

async function checkpointsOf(directory: string): Promise<readonly WholeCheckpoint[]> {
  const found: WholeCheckpoint[] = [];
  for await (const checkpoint of wholeCheckpoints(directory)) {
    found.push(checkpoint);
  }
  return found;
}

async function withStream<T>(run: StreamedRun, use: (stream: TokenStream) => Promise<T>): Promise<T> {
  const { directory, recipe, onNotice = () => undefined } = run;
  const stream = await openTokenStream(
    streamOptions(recipe, {
      tokenizerFolder: tokenizerFolder(directory),
      workspace: workspaceOfRun(directory, run.workspace),
      signal: new AbortController().signal,
      onNotice,
    }),
  );
  try {
    checkSameText(stream, await checkpointsOf(directory));
    return await use(stream);
  } finally {
    await stream.close();
  }
}

/** The nearest place that is known at or before the end of `steps`; of a branch, the run it began from may know it. */
async function waypointBefore(run: StreamedRun, steps: number): Promise<Waypoint> {
  for (const { step, state } of await checkpointsOf(run.directory)) {
    if (step <= steps && state.data.stream !== null) {
      const { passes: _, ...position } = state.data.stream;
      return { steps: step, position };
    }
  }
  const { branched_from: branch } = await readManifest(run.directory);
  if (branch === null) {
    return { steps: 0, position: streamStart };
  }
  const { isOtherText, isOtherOrder } = orderChanges(branch.changed);
  if (isOtherText) {
    return { steps: branch.step, position: streamStart };
  }
  const directory = await findRun(run.workspace, branch.run);
  const parent = { ...run, directory, recipe: (await readRunRecipe(directory)).recipe };
  if (!isOtherOrder) {
    return waypointBefore(parent, Math.min(steps, branch.step));
  }
  const { epoch } = await placeAfter(parent, branch.step);
  return { steps: branch.step, position: nextPass(epoch) };
}

async function placeAfter(run: StreamedRun, steps: number): Promise<StreamPosition> {
  const from = await waypointBefore(run, steps);
  const windows = (steps - from.steps) * run.recipe.global_train_batch_size;
  if (windows === 0) {
    return from.position;
  }
  return withStream(run, async (stream) => {
    stream.seek(from.position);
    return (await stream.locate(windows - 1)).after;
  });
}

/** Tokens of a sample of a shard that holds tokens. */
function tokensOfSample(shard: MdsShard, sample: number, tokenBytes: number, where: string): number {
  const value = shard.value(sample, TOKENS_COLUMN);
  if (value instanceof Uint8Array) {
    return value.length / tokenBytes;
  }
  if (typeof value === "object" && "shape" in value) {
    return value.shape.reduce((all, side) => all * side, 1);
  }
  throw mdsError(where, `its column ${TOKENS_COLUMN} holds no tokens`);
}

async function traceSamples(
  { place, firstToken, shard: { entry } }: LocatedWindow,
  { tokenCount, tokenBytes }: { readonly tokenCount: number; readonly tokenBytes: number },
): Promise<Trace> {
  const bytes = await readFile(place).catch((cause: unknown) => {
    throw new AppError("FILE_NOT_READABLE", `Cannot read ${place}; check that you may read it.`, { cause });
  });
  const shard = new MdsShard(bytes, entry, place);
  const end = firstToken + tokenCount;
  const documents: TracedDocument[] = [];
  let begin = 0;
  for (let sample = 0; sample < shard.sampleCount && begin < end; sample += 1) {
    const next = begin + tokensOfSample(shard, sample, tokenBytes, place);
    const from = Math.max(begin, firstToken);
    const to = Math.min(next, end);
    if (from < to) {
      documents.push({
        id: sampleId(shard, sample, entry.raw_data.basename),
        document: sample,
        from: from - firstToken,
        to: to - firstToken,
        documentOffset: from - begin,
      });
    }
    begin = next;
  }
  return { firstToken, tokenCount, documents, shard: null };
}

/** The documents of one sequence of one step, both from 1. */
export async function traceStream(
  run: StreamedRun,
  { step, sequence }: { readonly step: number; readonly sequence: number },
): Promise<Trace> {
  const { recipe } = run;
  const batchSize = recipe.global_train_batch_size;
  checkSequence(sequence, batchSize);
  const from = await waypointBefore(run, step - 1);
  return withStream(run, async (stream) => {
    stream.seek(from.position);
    const found = await stream.locate((step - 1 - from.steps) * batchSize + sequence - 1);
    const tokenCount = recipe.max_seq_len + 1;
    const trace = stream.isPreTokenized
      ? await traceSamples(found, { tokenCount, tokenBytes: recipe.data.streaming.token_bytes })
      : await traceTokens(found.place, found.firstToken, tokenCount);
    const { folder, entry } = found.shard;
    return { ...trace, shard: { folder: shownAddress(folder), file: entry.raw_data.basename } };
  });
}
