import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { resourcePath } from "#core/paths";

type Document = { readonly id: string; readonly text: string };

const file = readFileSync(resourcePath("sample", "abstracts.jsonl"), "utf8");
const documents: readonly Document[] = file
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

function words(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

describe("the sample corpus", () => {
  it("holds at least 100 documents and 150 kB of text under ids of their own", () => {
    expect(documents.length).toBeGreaterThanOrEqual(100);
    expect(documents.reduce((total, document) => total + Buffer.byteLength(document.text), 0)).toBeGreaterThanOrEqual(
      150_000,
    );
    expect(new Set(documents.map((document) => document.id)).size).toBe(documents.length);
  });

  it("shares no run of eight words between more than two documents", () => {
    const seenIn = new Map<string, Set<string>>();
    for (const { id, text } of documents) {
      const all = words(text);
      for (let at = 0; at + 8 <= all.length; at += 1) {
        const key = all.slice(at, at + 8).join(" ");
        seenIn.set(key, (seenIn.get(key) ?? new Set()).add(id));
      }
    }
    expect([...seenIn].filter(([, ids]) => ids.size > 2).map(([key]) => key)).toEqual([]);
  });

  it("has documents of an abstract's length, on one line, without control characters", () => {
    for (const { id, text } of documents) {
      expect(text.length, id).toBeGreaterThan(600);
      expect(text, id).not.toMatch(/\p{Cc}/u);
    }
  });

  it("is as rich in words as a corpus of its field has to be", () => {
    expect(new Set(documents.flatMap(({ text }) => words(text))).size).toBeGreaterThan(5000);
  });
});
