// The corpora.* area as the window asks it: into the workspace, with progress, and cancelled.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { corporaContract as contract } from "#shared/ipc/corpora.contract";
import { createCorpusHandlers } from "./handlers.ts";

let workspace: string;
beforeEach(async () => {
  workspace = await mkdtemp(path.join(tmpdir(), "assay-corpora-"));
});
afterEach(() => rm(workspace, { recursive: true, force: true }));

const never = { signal: { aborted: false, addEventListener: () => undefined, removeEventListener: () => undefined } };

async function writeSource(records: number): Promise<string> {
  const file = path.join(workspace, "source.jsonl");
  const lines = Array.from({ length: records }, (_, at) => {
    const text =
      at % 10 === 9 ? " " : `Document ${String.fromCharCode(97 + (at % 26))} says what the others of its kind say too.`;
    return `${JSON.stringify({ id: `d${at}`, text, year: 2000 })}\n`;
  });
  await writeFile(file, lines.join(""));
  return file;
}

describe("corpora", () => {
  it("are imported into the workspace, listed with their documents, and their ledgers can be read by rule", async () => {
    const { requests, streams } = createCorpusHandlers({ workspace: () => workspace });
    const items: unknown[] = [];
    const input = contract.streams["corpora.import"].input.parse({
      inputs: [await writeSource(30)],
      output: "mine.jsonl",
    });
    const report = await streams["corpora.import"](input, (item) => items.push(item), never);
    expect(contract.streams["corpora.import"].output.parse(report)).toMatchObject({ documents: 27, wasThere: false });
    expect(items.length).toBeGreaterThan(0);
    for (const item of items) {
      contract.streams["corpora.import"].item.parse(item);
    }
    const listed = contract.requests["corpora.list"].output.parse(await requests["corpora.list"]({}, never));
    expect(listed).toMatchObject([
      { name: "mine", documents: 27, hasLedger: true, hasClusters: false, isUnfinished: false },
    ]);
    const corpus = listed[0]?.path ?? "";
    const ledger = await requests["corpora.ledger"]({ path: corpus }, never);
    expect(ledger.rules).toMatchObject([{ rule: "no-text", documents: 3 }]);
    const page = { path: corpus, rule: "no-text", from: 1, count: 1 };
    expect(await requests["corpora.ledger-entries"](page, never)).toMatchObject([{ id: "d19" }]);
    const preview = contract.requests["corpora.preview"].input.parse({ path: corpus, documents: 2 });
    expect(await requests["corpora.preview"](preview, never)).toMatchObject([
      { id: "d0", metadata: { year: 2000 } },
      { id: "d1" },
    ]);
    await expect(requests["corpora.clusters"]({ path: corpus, from: 0, count: 1 }, never)).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
  });

  it("are cleaned with the clusters of what is nearly the same", async () => {
    const { requests, streams } = createCorpusHandlers({ workspace: () => workspace });
    const rules = { length: { min_words: 3 }, near_duplicates: { similarity: 0.5, run_words: 2, keep: "first" } };
    const inputs = [await writeSource(5)];
    const input = contract.streams["corpora.clean"].input.parse({ inputs, output: "clean.jsonl", rules });
    const report = await streams["corpora.clean"](input, () => undefined, never);
    expect(contract.streams["corpora.clean"].output.parse(report)).toMatchObject({ documentsRead: 5, documents: 1 });
    const clusters = await requests["corpora.clusters"]({ path: report.output, from: 0, count: 10 }, never);
    expect(clusters).toMatchObject([
      { kept: { id: "d0" }, dropped: [{ id: "d1" }, { id: "d2" }, { id: "d3" }, { id: "d4" }] },
    ]);
    const listed = await requests["corpora.list"]({}, never);
    expect(listed).toMatchObject([{ name: "clean", documents: 1, hasClusters: true }]);
    const bad = contract.streams["corpora.clean"].input.parse({ inputs, output: "b.jsonl", rules: { lenght: {} } });
    await expect(streams["corpora.clean"](bad, () => undefined, never)).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  });

  it("stop when they are cancelled, and an import goes on later", async () => {
    const { requests, streams } = createCorpusHandlers({ workspace: () => workspace });
    const input = contract.streams["corpora.import"].input.parse({
      inputs: [await writeSource(20_000)],
      output: "mine.jsonl",
    });
    const stop = new AbortController();
    const cancelled = streams["corpora.import"](input, () => stop.abort(), { signal: stop.signal });
    await expect(cancelled).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await requests["corpora.list"]({}, never)).toMatchObject([
      {
        name: "mine",
        documents: null,
        isUnfinished: true,
        // Enough to go on with it without knowing what was typed.
        unfinished: { inputs: input.inputs, format: null, textFields: ["text"], skipBroken: false },
      },
    ]);
    expect(await streams["corpora.import"](input, () => undefined, never)).toMatchObject({ documents: 18_000 });
    const scan = contract.streams["corpora.scan"].input.parse({ evaluation: input.inputs, corpus: input.inputs });
    await expect(streams["corpora.scan"](scan, () => undefined, { signal: AbortSignal.abort() })).rejects.toMatchObject(
      {
        code: "CANCELLED",
      },
    );
    expect(await readdir(path.join(workspace, "corpora"))).toEqual([
      "mine.jsonl",
      "mine.ledger.json",
      "mine.ledger.jsonl",
    ]);
  });
});
