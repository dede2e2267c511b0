// From a step of a real run back to the documents it was trained on, by the command.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, expect, it } from "vitest";
import { runCaches } from "#core/runs/caches";
import { readRunRecipe } from "#core/runs/prepare";
import { windowCount, windowOfSample } from "#shared/domain/data-order";
import { assay } from "../support/command-line.ts";
import { createTinyRun, requireAddon, runToEnd } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

beforeAll(requireAddon);

it("names the documents of a sequence of a step, whose tokens are the window's", async () => {
  await using workspace = await temporaryFolder("assay-trace-");
  const { directory } = await createTinyRun(workspace.path);
  expect(await runToEnd(directory)).toMatchObject({ status: "completed" });
  const words = ["corpus", "trace", "--run", directory, "--workspace", workspace.path, "--json"];
  const { code, stdout } = await assay([...words, "--step", "3", "--sequence", "2"]);
  expect({ code, stdout }).toMatchObject({ code: 0 });
  const trace = JSON.parse(stdout) as {
    firstToken: number;
    tokenCount: number;
    documents: { id: string; document: number; from: number; to: number; documentOffset: number }[];
  };
  const { recipe } = await readRunRecipe(directory);
  const { train } = await runCaches(directory, { workspace: workspace.path });
  const index = new BigUint64Array(new Uint8Array(await readFile(path.join(train, "documents.idx"))).buffer);
  const windows = windowCount(Number(index.at(-1)), recipe.max_seq_len);
  const sample = 2 * recipe.global_train_batch_size + 1;
  expect(trace.firstToken).toBe(windowOfSample(windows, recipe.data.shuffle_seed, sample) * recipe.max_seq_len);
  expect(trace.tokenCount).toBe(recipe.max_seq_len + 1);
  expect(trace.documents.length).toBeGreaterThan(0);
  for (const { id, document, from, documentOffset } of trace.documents) {
    expect(id).not.toBe("");
    expect(Number(index[document]) + documentOffset).toBe(trace.firstToken + from);
  }
  const one = await assay([...words, "--token", String(trace.firstToken)]);
  expect(JSON.parse(one.stdout)).toMatchObject({ documents: [{ id: trace.documents[0]?.id, from: 0, to: 1 }] });
  expect(await assay(words)).toMatchObject({ code: 2 });
});

it("names the same documents where the run read the corpus from MDS shards, text of them in compressed ones", async () => {
  await using workspace = await temporaryFolder("assay-trace-shards-");
  const plain = await createTinyRun(workspace.path);
  const corpus = path.join(workspace.path, "corpora", "tiny.jsonl");
  const shards = path.join(workspace.path, "shards");
  const made = await assay(["corpus", "shard", corpus, "--out", shards, "--size-limit", "8KiB", "--compression", "gz"]);
  expect(made, made.stderr).toMatchObject({ code: 0 });
  const sharded = await createTinyRun(workspace.path, [`data.train=${shards}`]);
  const traces: unknown[] = [];
  for (const { directory } of [plain, sharded]) {
    expect(await runToEnd(directory)).toMatchObject({ status: "completed" });
    const words = ["corpus", "trace", "--run", directory, "--workspace", workspace.path, "--json", "--step", "5"];
    const { code, stdout } = await assay(words);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    traces.push(JSON.parse(stdout));
  }
  expect(traces[0]).toMatchObject({ documents: [{ id: expect.stringMatching(/^doc-\d+$/) }] });
  expect(traces[1]).toEqual(traces[0]);
});
