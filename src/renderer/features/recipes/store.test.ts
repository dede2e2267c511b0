// The store against a bridge held in memory: what reaches core, and when.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

type Answer = (input: Record<string, unknown>) => unknown;

const preset = "run_name: tiny\nseed: 17\n";
const files = new Map<string, string>();
const drafts = new Map<string, string>();
const started: unknown[] = [];
let check: Answer;

const answers: Record<string, Answer> = {
  "recipes.list": () => ({
    presets: [{ name: "tiny", summary: "" }],
    files: [...files.keys()].map((file) => ({ file, name: file.slice(3, -5), modifiedAt: "" })),
  }),
  "recipes.schema": () => ({ jsonSchema: {} }),
  "recipes.read": ({ source }) => ({
    text: source === "preset:tiny" ? preset : (files.get(String(source)) ?? ""),
    draft: drafts.get(String(source)) ?? null,
  }),
  "recipes.keep-draft": ({ source, text }) => {
    if (typeof text === "string") {
      drafts.set(String(source), text);
    } else {
      drafts.delete(String(source));
    }
    return {};
  },
  "recipes.save": ({ name, text }) => {
    files.set(`/r/${String(name)}.yaml`, String(text));
    return { file: `/r/${String(name)}.yaml` };
  },
  "recipes.check": (input) => check(input),
  "runs.start": (input) => {
    started.push(input);
    return { run: "r1", directory: "/runs/r1", status: "queued" };
  },
};

const passes = () => ({ problems: [], forecast: null, forecastProblem: null });
const problem = {
  code: "RECIPE_INVALID",
  severity: "error",
  message: "no key",
  line: 1,
  column: 1,
  endLine: 1,
  endColumn: 2,
  path: "",
  suggestion: null,
};

vi.stubGlobal("window", {
  assay: {
    request: async (name: string, input: Record<string, unknown>) => ({
      ok: true,
      value: await answers[name]?.(input),
    }),
  },
});
const { useRecipes, isUnsaved } = await import("./store.ts");
const pristine = useRecipes.getState();
const store = () => useRecipes.getState();

beforeEach(() => {
  vi.useFakeTimers();
  files.clear();
  drafts.clear();
  started.length = 0;
  check = passes;
  useRecipes.setState(pristine, true);
});
afterEach(() => {
  vi.useRealTimers();
});

describe("useRecipes", () => {
  it("keeps unsaved text as a draft a moment after typing, and removes it when the text is as saved again", async () => {
    await store().openRecipe("preset:tiny");
    store().setText("run_name: mine\n");
    expect(drafts.size).toBe(0);
    await vi.advanceTimersByTimeAsync(1000);
    expect(drafts.get("preset:tiny")).toBe("run_name: mine\n");
    store().setText(preset);
    await vi.advanceTimersByTimeAsync(1000);
    expect(drafts.size).toBe(0);
  });

  it("restores a draft when the recipe is opened, says so, and can discard it", async () => {
    drafts.set("preset:tiny", "run_name: kept\n");
    await store().openRecipe("preset:tiny");
    expect([store().text, store().open?.isDraftRestored, isUnsaved(store())]).toEqual(["run_name: kept\n", true, true]);
    await store().discardDraft();
    expect([store().text, store().open?.isDraftRestored, drafts.size]).toEqual([preset, false, 0]);
  });

  it("writes the draft of one recipe before opening another", async () => {
    files.set("/r/mine.yaml", "seed: 1\n");
    await store().openRecipe("/r/mine.yaml");
    store().setText("seed: 2\n");
    await store().openRecipe("preset:tiny");
    expect(drafts.get("/r/mine.yaml")).toBe("seed: 2\n");
  });

  it("saves under a new name, drops the preset's draft and goes on in the file", async () => {
    await store().openRecipe("preset:tiny");
    store().setText("seed: 3\n");
    await vi.advanceTimersByTimeAsync(1000);
    expect(await store().saveAs("mine")).toEqual({ file: "/r/mine.yaml" });
    expect([store().open?.source, isUnsaved(store()), drafts.size]).toEqual(["/r/mine.yaml", false, 0]);
  });

  it("does not let an older check replace a newer one", async () => {
    let answerFirst: (value: unknown) => void = () => undefined;
    await store().openRecipe("preset:tiny");
    check = () => new Promise((resolve) => (answerFirst = resolve));
    store().setText("a");
    const first = store().checkNow();
    check = passes;
    store().setText("b");
    await store().checkNow();
    answerFirst({ problems: [problem], forecast: null, forecastProblem: null });
    await first;
    expect(store().check).toMatchObject({ state: "checked", problems: [] });
  });

  it("starts a run of the text on screen, a preset's without a file, and nothing that has errors", async () => {
    await store().openRecipe("preset:tiny");
    store().setText("run_name: mine\n");
    expect(await store().launch()).toBe("r1");
    expect(started).toEqual([{ recipeText: "run_name: mine\n", recipeFile: null }]);
    check = () => ({ problems: [problem], forecast: null, forecastProblem: null });
    expect(await store().launch()).toBeNull();
    expect(started).toHaveLength(1);
  });

  it("compares a file with the preset it shares most lines with", async () => {
    files.set("/r/mine.yaml", "run_name: mine\nseed: 17\n");
    await store().openRecipe("/r/mine.yaml");
    expect(store().base?.name).toBe("tiny");
  });

  it("makes a recipe for a folder under a name that is free", async () => {
    files.set("/r/articles.yaml", "");
    answers["recipes.read"] = ({ source }) => ({
      text: String(source).startsWith("preset:") ? preset : (files.get(String(source)) ?? ""),
      draft: null,
    });
    expect(await store().newFromFolder("/home/a/Articles")).toBe("/r/articles-2.yaml");
    expect(files.get("/r/articles-2.yaml")).toContain("train: /home/a/Articles");
  });
});
