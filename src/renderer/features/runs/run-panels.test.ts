import { describe, expect, it } from "vitest";
import { tableText } from "../../lib/table-text.ts";
import { logLines } from "./log-lines.ts";
import { problemsOf } from "./problems.ts";
import { recipeFacts } from "./recipe-facts.ts";
import type { RunShown } from "./store.ts";

const summary = { status: "running", exitReason: null } as RunShown["summary"];

describe("the log", () => {
  it("has the time apart from the words, and the day where it changes", () => {
    const lines = logLines("2026-11-20T12:00:01.000Z Started.\n2026-11-21T12:00:02.000Z Step 1.\n  at main.js:3\n");
    expect(lines.map((line) => line.text)).toEqual(["Started.", "Step 1.", "  at main.js:3"]);
    expect(lines[0]?.time).toMatch(/^\d\d:00:01$/);
    expect(lines[1]?.time).toMatch(/^2[12] Nov \d\d:00:02$/);
    expect(lines[2]?.time).toBe("");
  });

  it("keeps the key of a line while it grows", () => {
    const log = "a\nb\n";
    expect(logLines(log).map((line) => line.at)).toEqual(
      logLines(`${log}c\n`)
        .slice(0, 2)
        .map((line) => line.at),
    );
  });
});

describe("problems", () => {
  it("are what the run wrote, and each once", () => {
    const log = logLines("2026-11-21T12:00:02.000Z Failed: The loss is NaN. (LOSS_NOT_FINITE)\n");
    const problems = problemsOf(
      {
        summary: { ...summary, status: "failed", exitReason: { code: "LOSS_NOT_FINITE", message: "The loss is NaN." } },
        resumes: [{ resumed: 1, fromStep: 100 }],
      },
      [{ key: "train/loss", nonFinite: [{ x: 120, value: "NaN" }] }],
      log,
    );
    expect(problems.map((problem) => problem.text)).toEqual([
      "The loss is NaN.",
      "train/loss is NaN.",
      "Resumed from here, for the first time. Steps after it were trained again.",
    ]);
  });

  it("are none in a run that goes well", () => {
    expect(problemsOf({ summary, resumes: [] }, [], logLines("2026-11-21T12:00:02.000Z Step 1 of 2.\n"))).toEqual([]);
  });
});

describe("a run's recipe", () => {
  it("tells the shape of the model and what it came from", () => {
    const facts = recipeFacts(
      "max_seq_len: 128\nmodel: {name: gpt2, n_layers: 4, n_heads: 2, d_model: 256}\ntokenizer: {train: {vocab_size: 2048}}\ndata: {train: /data/pubmed/train.jsonl}\n",
    );
    expect(facts.model).toEqual([
      ["family", "GPT-2"],
      ["layers × heads", "4 × 2"],
      ["width", "256"],
      ["context", "128"],
    ]);
    expect(facts.lineage.map((each) => each.name)).toEqual(["train.jsonl", "its own tokenizer"]);
  });

  it("tells text that is streamed from an address, without what its query may hold", () => {
    const { lineage } = recipeFacts(
      "tokenizer: {path: /t/own}\ndata: {train: ['s3://bucket/shards', {path: 'https://host/b?key=x'}, /here/c], streaming: {enabled: true}}\n",
    );
    expect(lineage).toEqual([
      { name: "s3://bucket/shards", note: "text, streamed", path: null },
      { name: "https://host/b", note: "text, streamed", path: null },
      { name: "c", note: "text, streamed", path: "/here/c" },
      { name: "own", note: "tokenizer", path: "/t/own" },
    ]);
  });

  it("gives nothing rather than a guess where it cannot be read", () => {
    expect(recipeFacts("model: [")).toEqual({ model: [], lineage: [] });
    expect(recipeFacts("")).toEqual({ model: [], lineage: [] });
  });
});

describe("a copied table", () => {
  it("has plain numbers between tabs, and no line breaks inside a cell", () => {
    expect(
      tableText(
        ["a", "b"],
        [
          [1234.5, null],
          ["x\ty\n", 2],
        ],
      ),
    ).toBe("a\tb\n1234.5\t\nx y \t2");
  });
});
