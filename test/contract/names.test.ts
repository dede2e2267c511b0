// The surface between window and core, by name: a wider one is visible in review. The types see to it that every name
// has a handler; this test sees to it that a change of the list is meant.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { programRoot } from "#core/paths";
import { errorCodes } from "#shared/errors";
import { contract } from "#shared/ipc/index";

describe("the contract", () => {
  it("offers exactly these requests, streams and events", () => {
    expect(Object.keys(contract.requests).toSorted()).toEqual([
      "app.change-settings",
      "app.choose-files",
      "app.choose-folder",
      "app.info",
      "app.reveal",
      "app.settings",
      "app.status",
      "corpora.clusters",
      "corpora.ledger",
      "corpora.ledger-entries",
      "corpora.list",
      "corpora.preview",
      "corpora.trace",
      "models.describe",
      "models.forecast",
      "models.lint",
      "models.list",
      "recipes.check",
      "recipes.keep-draft",
      "recipes.list",
      "recipes.read",
      "recipes.save",
      "recipes.schema",
      "runs.branch",
      "runs.control",
      "runs.list",
      "runs.log",
      "runs.preview-change",
      "runs.resume",
      "runs.samples",
      "runs.series",
      "runs.show",
      "runs.start",
      "runs.start-quickstart",
      "tokenizers.explain",
      "tokenizers.explain-word",
      "tokenizers.forecast",
      "tokenizers.inspect",
      "tokenizers.list",
      "tokenizers.overlap",
      "tokenizers.vocabulary",
    ]);
    expect(Object.keys(contract.streams).toSorted()).toEqual([
      "corpora.clean",
      "corpora.import",
      "corpora.scan",
      "corpora.shard",
      "corpora.split",
      "corpora.statistics",
      "models.export",
      "models.generate",
      "tokenizers.compare",
      "tokenizers.savings",
      "tokenizers.train",
    ]);
    expect(Object.keys(contract.events).toSorted()).toEqual([
      "app.settings-changed",
      "models.engine-lost",
      "runs.changed",
      "runs.list-changed",
    ]);
  });

  it("refuses input that its schemas do not describe", () => {
    expect(contract.requests["runs.control"].input.safeParse({ run: "x", action: "explode" }).success).toBe(false);
    expect(
      contract.requests["runs.series"].input.safeParse({ run: "x", keys: [], x: "step", buckets: 1e9 }).success,
    ).toBe(false);
    expect(contract.streams["models.generate"].input.safeParse({ model: "m", prompt: "p" }).success).toBe(false);
  });

  it("keeps error codes sorted and unlike each other", () => {
    expect([...errorCodes]).toEqual([...new Set(errorCodes)].toSorted());
  });

  it("knows every code the engine throws", () => {
    const folder = path.join(programRoot(), "native");
    const sources = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
      (name) => /\.(cpp|h)$/.test(name) && !name.startsWith("tests"),
    );
    const thrown = sources.flatMap((name) => [
      ...readFileSync(path.join(folder, name), "utf8").matchAll(/\bError\(\s*"([A-Z][A-Z0-9_]+)"/g),
    ]);
    const unknown = new Set(
      thrown.map(([, code]) => code ?? "").filter((code) => !new Set<string>(errorCodes).has(code)),
    );
    expect([...unknown]).toEqual([]);
    expect(thrown.length).toBeGreaterThan(50);
  });
});
