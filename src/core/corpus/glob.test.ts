import { describe, expect, it } from "vitest";
import { globBase, globMatcher, isGlob } from "./glob.ts";

describe("globMatcher", () => {
  it.each([
    ["*.txt", ["a.txt", ".txt2.txt.no"], ["a.txt"]],
    ["*.txt", ["a/b.txt", ".a.txt", "b.txt"], ["b.txt"]],
    ["**/*.txt", ["a.txt", "a/b.txt", "a/b/c.txt", "a/.git/c.txt"], ["a.txt", "a/b.txt", "a/b/c.txt"]],
    ["part-[0-9]?.jsonl", ["part-12.jsonl", "part-a2.jsonl", "part-1.jsonl"], ["part-12.jsonl"]],
    ["[!a]*.txt", ["a.txt", "b.txt"], ["b.txt"]],
    ["*.{txt,jsonl}", ["a.txt", "b.jsonl", "c.json"], ["a.txt", "b.jsonl"]],
    ["a+(b).txt", ["a+(b).txt", "ab.txt"], ["a+(b).txt"]],
    ["{a.txt", ["{a.txt", "a.txt"], ["{a.txt"]],
    ["x/**", ["x/a", "x/b/c", "y/a"], ["x/a", "x/b/c"]],
  ])("%s", (pattern, names, expected) => {
    expect(names.filter(globMatcher(pattern))).toEqual(expected);
  });
});

describe("globBase", () => {
  it("is the part before the first pattern", () => {
    expect(globBase("/data/pubmed/**/*.txt")).toEqual({ base: "/data/pubmed", pattern: "**/*.txt" });
    expect(globBase("/*.txt")).toEqual({ base: "/", pattern: "*.txt" });
    expect(isGlob("/data/plain.txt")).toBe(false);
  });
});
