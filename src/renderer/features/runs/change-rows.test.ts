import { describe, expect, it } from "vitest";
import { branchRows, extendRows, keyPaths, offeredKeys, rowOf, setWords } from "./change-rows.ts";
import { runRoute } from "./run-route.ts";

const recipe = "max_duration: 450ba\noptimizer: {lr: 8.0e-4, betas: [0.9, 0.95]}\ndata: {train: /texts}\n";

describe("rows of changed keys", () => {
  it("begin with what the recipe holds, and only with keys it has", () => {
    expect(branchRows(recipe)).toEqual([
      { key: "max_duration", before: "450ba", value: "450ba" },
      { key: "optimizer.lr", before: "0.0008", value: "0.0008" },
      { key: "data.train", before: "/texts", value: "/texts" },
    ]);
    expect(extendRows(recipe).map(({ key }) => key)).toEqual(["max_duration"]);
    expect(rowOf(recipe, "gradient_clipping")).toEqual({ key: "gradient_clipping", before: null, value: "" });
    expect(rowOf("{", "max_duration").before).toBeNull();
  });

  it("become --set words where they were edited", () => {
    const [duration, rate, data] = branchRows(recipe);
    expect(
      duration && rate && data && setWords([{ ...duration, value: " 600ba " }, { ...rate, value: "" }, data]),
    ).toEqual(["max_duration=600ba"]);
  });

  it("are offered from the schema, without those that are there", () => {
    const schema = {
      properties: {
        run_name: {},
        max_duration: {},
        optimizer: { properties: { lr: {}, eps: {} } },
        data: { properties: { eval: { anyOf: [{}, { properties: { fraction: {} } }] } } },
      },
    };
    expect(keyPaths(schema)).toEqual([
      "run_name",
      "max_duration",
      "optimizer.lr",
      "optimizer.eps",
      "data.eval.fraction",
    ]);
    expect(offeredKeys(schema, branchRows(recipe))).toEqual(["optimizer.eps", "data.eval.fraction"]);
    expect(keyPaths(null)).toEqual([]);
  });
});

describe("runRoute", () => {
  it("tells a run, its branch and its extension apart", () => {
    expect(runRoute({ rest: [] })).toEqual({ kind: "list" });
    expect(runRoute({ rest: ["r"] })).toEqual({ kind: "run", run: "r" });
    expect(runRoute({ rest: ["r", "branch", "300"] })).toEqual({ kind: "branch", run: "r", step: 300 });
    expect(runRoute({ rest: ["r", "branch", "x"] })).toEqual({ kind: "run", run: "r" });
    expect(runRoute({ rest: ["r", "extend"] })).toEqual({ kind: "extend", run: "r" });
  });
});
