// What tests of runs that stream begin with: a tokenizer, a held-out text, and packed shards of a small corpus.
import path from "node:path";
import { parseCompression } from "#core/corpus/mds/compression";
import { shardCorpus } from "#core/corpus/mds/write-corpus";
import { createTinyRun, runToEnd, writeCorpus } from "./runner.ts";

export type StreamRunTexts = { readonly tokenizer: string; readonly heldOut: string; readonly shards: string };

export async function writeStreamRunTexts(folder: string): Promise<StreamRunTexts> {
  const first = await createTinyRun(path.join(folder, "first"), ["max_duration=4ba", "samples.prompts=[]"]);
  const { status } = await runToEnd(first.directory);
  if (status !== "completed") {
    throw new Error(`The run that trains the tokenizer ended as ${status}.`);
  }
  const heldOut = path.join(folder, "held-out.jsonl");
  await writeCorpus(heldOut, 3);
  const corpus = path.join(folder, "corpus.jsonl");
  await writeCorpus(corpus, 12);
  const shards = path.join(folder, "shards");
  await shardCorpus({
    inputs: [corpus],
    directory: shards,
    tokenizer: null,
    compression: parseCompression("zstd:3", "the test"),
    hashes: ["sha1", "xxh64"],
    sizeLimitBytes: 1024,
  });
  return { tokenizer: path.join(first.directory, "tokenizer"), heldOut, shards };
}
