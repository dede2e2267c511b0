import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { RecipeProblem } from "#shared/ipc/recipes.contract";
import { launchState, runName } from "./launch-state.ts";
import { changedLineCount, lineChanges, nearestBase } from "./line-changes.ts";
import { applySuggestion, offsetAt, problemRows } from "./problem-rows.ts";
import { freeName, nameFromFolder, recipeFromFolder } from "./recipe-from-folder.ts";

const text = "run_name: tiny\nseed: 17\nglobal_train_batch_sze: 16\n";
const unknownKey: RecipeProblem = {
  code: "UNKNOWN_KEY",
  severity: "error",
  message: "global_train_batch_sze is not a key.",
  line: 3,
  column: 1,
  endLine: 3,
  endColumn: 23,
  path: "global_train_batch_sze",
  suggestion: "global_train_batch_size",
};

describe("applySuggestion", () => {
  it("puts the right key in the place of the wrong one and touches nothing else", () => {
    expect(applySuggestion(text, unknownKey)).toBe("run_name: tiny\nseed: 17\nglobal_train_batch_size: 16\n");
  });

  it("has nothing to apply where nothing is proposed", () => {
    expect(applySuggestion(text, { ...unknownKey, suggestion: null })).toBeNull();
  });
});

describe("offsetAt", () => {
  it("stops at the end of a line and of the text", () => {
    expect([offsetAt("ab\ncd", 1, 9), offsetAt("ab\ncd", 2, 2), offsetAt("ab\ncd", 7, 1)]).toEqual([2, 4, 5]);
  });
});

describe("problemRows", () => {
  it("stand in the order of the text and name what a fix replaces", () => {
    const later = { ...unknownKey, line: 9, suggestion: null };
    const rows = problemRows(text, [later, unknownKey]);
    expect(rows.map((row) => row.place)).toEqual(["line 3", "line 9"]);
    expect(rows[0]?.fix).toEqual({ from: "global_train_batch_sze", to: "global_train_batch_size" });
    expect(rows[1]?.fix).toBeNull();
  });
});

describe("runName", () => {
  it("reads plain and quoted names without their comments", () => {
    expect(runName("seed: 1\nrun_name: biomedlm-tiny  # mine\n")).toBe("biomedlm-tiny");
    expect(runName('run_name: "two words"\n')).toBe("two words");
    expect(runName("model:\n  run_name: no\n")).toBeNull();
  });
});

describe("launchState", () => {
  it("names the run and gives the line of the first error as the reason it cannot start", () => {
    const checked = { state: "checked", problems: [unknownKey], forecast: null, forecastProblem: null } as const;
    expect(launchState(text, checked, false)).toEqual({
      label: "Train tiny",
      disabledReason: "Mend one problem on line 3 before training.",
    });
    const warned = { ...checked, problems: [{ ...unknownKey, severity: "warning" as const }] };
    expect(launchState(text, warned, false)).toEqual({ label: "Train tiny", disabledReason: null });
    expect(launchState(text, { state: "checking" }, false).disabledReason).toBe("The recipe is being checked.");
  });
});

describe("lineChanges", () => {
  it("finds replaced, added and removed lines", () => {
    const base = "a: 1\nb: 2\nc: 3\nd: 4\n";
    expect(lineChanges(base, base)).toEqual([]);
    expect(lineChanges(base, "a: 1\nb: 9\nc: 3\nd: 4\n")).toEqual([
      { kind: "modified", from: 2, to: 2, was: ["b: 2"] },
    ]);
    expect(lineChanges(base, "a: 1\nb: 2\nnew: 1\nc: 3\nd: 4\n")).toEqual([{ kind: "added", from: 3, to: 3, was: [] }]);
    expect(lineChanges(base, "a: 1\nd: 4\n")).toEqual([{ kind: "removed", after: 1, was: ["b: 2", "c: 3"] }]);
  });

  it("does not count white space at the end of a line", () => {
    expect(lineChanges("a: 1\r\nb: 2", "a: 1  \nb: 2")).toEqual([]);
  });

  it("counts a replaced line once", () => {
    expect(changedLineCount(lineChanges("a\nb\nc\nd", "a\nx\nd\ne"))).toBe(3);
  });
});

describe("nearestBase", () => {
  it("is the preset that shares most lines, or none where less than half is shared", () => {
    const bases = [{ text: "a\nb\nc\nd" }, { text: "a\nb\nx\ny" }];
    expect(nearestBase("a\nb\nx\nd", bases)).toBe(bases[0]);
    expect(nearestBase("p\nq\nr\ns", bases)).toBeNull();
  });
});

describe("recipeFromFolder", () => {
  const preset =
    "# a tiny model\nrun_name: biomedlm-tiny # the name\nmodel: {name: gpt2, n_layers: 4}\ndata:\n  train: sample/train.jsonl # bundled\n  eval: sample/valid.jsonl\n";

  it("replaces the name and the data and keeps comments and everything else", () => {
    const made = recipeFromFolder(preset, "/home/a/My Articles", "my-articles");
    expect(parse(made)).toEqual({
      run_name: "my-articles",
      model: { name: "gpt2", n_layers: 4 },
      data: { train: "/home/a/My Articles", eval: { fraction: 0.05 } },
    });
    expect(made).toContain("# a tiny model");
  });

  it("makes names that are safe as files and not taken", () => {
    expect(nameFromFolder("/home/a/Mes Études 2024/")).toBe("mes-etudes-2024");
    expect(nameFromFolder("/")).toBe("my-recipe");
    expect(freeName("a", new Set(["a", "a-2"]))).toBe("a-3");
  });
});
