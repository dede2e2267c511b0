// The main job in the window: from first start to a run that is watched, paused, stopped and resumed; and a run that
// outlives the window.
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Page } from "@playwright/test";
import { ask, expect, expectAccessible, openWindow, test } from "./feature-window.ts";

type Listed = {
  readonly value: readonly {
    readonly id: string;
    readonly directory: string;
    readonly status: string;
    readonly step: number;
  }[];
};

async function onlyRun(page: Page): Promise<Listed["value"][number]> {
  // as: runs.list answers what its contract says.
  const { value } = (await ask(page, "runs.list", {})) as Listed;
  const [run] = value;
  if (run === undefined) {
    throw new Error("There is no run.");
  }
  return run;
}

/** Steps logged so far, folded as a reader folds them: a resume takes back what came after its step. */
async function loggedSteps(directory: string): Promise<readonly number[]> {
  const text = await readFile(path.join(directory, "metrics.jsonl"), "utf8");
  const steps: number[] = [];
  for (const line of text.split("\n").filter((each) => each.endsWith("}"))) {
    const record: { readonly step?: number; readonly from_step?: number } = JSON.parse(line);
    const last = record.from_step ?? (record.step ?? 0) - 1;
    while ((steps.at(-1) ?? -1) > last) {
      steps.pop();
    }
    if (record.step !== undefined) {
      steps.push(record.step);
    }
  }
  return steps;
}

const status = (page: Page) => page.getByTestId("run-status");

test("from first start to the quickstart run: the curve grows, and it is paused, stopped and resumed", async ({
  home,
}) => {
  const { app, page } = await openWindow(home, "home");
  await expect(page.getByRole("heading", { name: "A language model of your own field" })).toBeVisible();
  await page.getByRole("button", { name: "Train a biomedical model on this computer now" }).click();
  await expect(status(page)).toHaveText(/starting|running/);
  await expect(page.getByText(/points, extremes kept/)).toBeVisible({ timeout: 120_000 });
  const { directory } = await onlyRun(page);
  const stepsAt = async (): Promise<number> => (await onlyRun(page)).step;
  const early = await stepsAt();
  await expect.poll(stepsAt, { timeout: 60_000 }).toBeGreaterThan(early);
  await expect(page.getByText(/of [\d\s]+ points, extremes kept/)).toBeVisible();

  await page.getByRole("button", { name: "Pause" }).click();
  await expect(status(page)).toHaveText("paused");
  const pausedAt = await stepsAt();
  await page.waitForTimeout(1500);
  expect(await stepsAt()).toBe(pausedAt);

  await page.getByRole("button", { name: "Go on" }).click();
  await expect(status(page)).toHaveText("running");
  await expect.poll(stepsAt, { timeout: 60_000 }).toBeGreaterThan(pausedAt);

  await page.getByRole("button", { name: "Stop" }).click();
  await expect(status(page)).toHaveText("stopped", { timeout: 60_000 });
  const stoppedAt = await stepsAt();
  await page.getByRole("button", { name: "Resume run" }).click();
  await expect(status(page)).toHaveText("running", { timeout: 60_000 });
  await expect.poll(stepsAt, { timeout: 60_000 }).toBeGreaterThan(stoppedAt);

  await page.locator(".chart-plot").hover({ position: { x: 300, y: 100 } });
  await expect(page.getByTestId("chart-readout")).toContainText("train");
  await page.getByRole("button", { name: "table" }).click();
  await expect(page.getByRole("region", { name: "Loss as a table" })).toBeVisible();
  await expect(page.getByRole("log", { name: "Log" })).toContainText("Step");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(status(page)).toHaveText("stopped", { timeout: 60_000 });
  const steps = await loggedSteps(directory);
  expect(steps).toEqual(steps.map((_, at) => at));
  await app.close();
});

test("killing the app leaves the run going, and the reopened window shows its curve without a gap", async ({
  home,
}) => {
  const first = await openWindow(home, "home");
  await first.page.getByRole("button", { name: "Train a biomedical model on this computer now" }).click();
  await expect(first.page.getByText(/points, extremes kept/)).toBeVisible({ timeout: 120_000 });
  const run = await onlyRun(first.page);
  const before = await loggedSteps(run.directory);
  first.app.process().kill("SIGKILL");
  await expect
    .poll(async () => (await loggedSteps(run.directory)).length, { timeout: 60_000 })
    .toBeGreaterThan(before.length + 3);

  const second = await openWindow(home, `runs/${run.id}`);
  await expect(status(second.page)).toHaveText(/running|completed/);
  await second.page.getByRole("button", { name: "Stop" }).click();
  await expect(status(second.page)).toHaveText("stopped", { timeout: 60_000 });
  const steps = await loggedSteps(run.directory);
  expect(steps).toEqual(steps.map((_, at) => at));
  // as: runs.series answers what its contract says; typed arrays become plain ones on their way out of the page.
  const shown = (await second.page.evaluate(async (id) => {
    const asked = await (
      window as unknown as {
        assay: {
          request(
            name: string,
            input: unknown,
          ): Promise<{ value: { series: { x: Float64Array; totalPoints: number }[] } }>;
        };
      }
    ).assay.request("runs.series", { run: id, keys: ["train/loss"], x: "step", buckets: 4000 });
    return asked.value.series.map((each) => ({ x: [...each.x], totalPoints: each.totalPoints }));
  }, run.id)) as readonly { readonly x: readonly number[]; readonly totalPoints: number }[];
  // Every logged update is a point; step 0 has an evaluation and no training loss.
  expect(shown[0]?.x).toEqual(steps.slice(1));
  await second.app.close();
});

test("a run that fails says why, and one this version cannot read is listed with a sentence", async ({ home }) => {
  const { app, page } = await openWindow(home, "runs");
  await expect(page.getByRole("heading", { name: "No runs yet" })).toBeVisible();
  const recipeText = `
run_name: exploding
max_seq_len: 64
model: {name: gpt2, n_layers: 2, n_heads: 2, d_model: 32}
tokenizer: {train: {type: byte-bpe, vocab_size: 300}}
data: {train: ${path.resolve(import.meta.dirname, "../../resources/sample/abstracts.jsonl")}, eval: {fraction: 0.1}}
optimizer: {name: decoupled_adamw, lr: 10}
gradient_clipping: null
max_duration: 500ba
global_train_batch_size: 4
eval_interval: 500ba
`;
  await ask(page, "runs.start", { recipeText, recipeFile: null });
  await expect(page.getByRole("link", { name: "exploding" })).toBeVisible();
  const run = await onlyRun(page);
  await page.getByRole("link", { name: "exploding" }).click();
  await expect(status(page)).toHaveText(/failed|completed/, { timeout: 90_000 });
  if ((await status(page).textContent()) === "failed") {
    await expect(page.getByTestId("exit-reason")).toContainText("LOSS_NOT_FINITE");
  }
  const { writeFile } = await import("node:fs/promises");
  const manifest = JSON.parse(await readFile(path.join(run.directory, "run.json"), "utf8"));
  await writeFile(path.join(run.directory, "run.json"), JSON.stringify({ ...manifest, format_version: 99 }));
  await page.evaluate(() => {
    window.location.hash = "#/runs";
  });
  await expect(page.getByText("cannot be read")).toBeVisible();
  await app.close();
});

test("runs, home and settings are accessible in both themes, and nothing overflows a narrow window", async ({
  trainedHome,
}) => {
  for (const theme of ["light", "dark"] as const) {
    const { app, page } = await openWindow(trainedHome, "runs", { theme });
    await page.getByRole("link", { name: "tiny" }).first().click();
    await expect(status(page)).toHaveText("completed");
    await expectAccessible(page);
    for (const route of ["home", "settings", "runs"]) {
      await page.evaluate((hash) => {
        window.location.hash = `#/${hash}`;
      }, route);
      await expect(page.getByRole("main")).toBeVisible();
      await expectAccessible(page);
    }
    for (const width of [900, 640]) {
      await app.evaluate(({ BrowserWindow }, size) => BrowserWindow.getAllWindows()[0]?.setSize(size, 700), width);
      await expect
        .poll(() => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth))
        .toBe(true);
    }
    await app.close();
  }
});

test("the palette goes anywhere, the theme is kept, and the page can neither run nor reach what is not its own", async ({
  home,
}) => {
  const { app, page } = await openWindow(home, "home", { theme: "dark" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Search or run a command").fill("settings");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
  await page.getByText("Light", { exact: true }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  await page.goBack();
  await expect(page.getByRole("button", { name: "Train a biomedical model on this computer now" })).toBeVisible();

  const reached = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.wasRun = true";
    document.body.append(script);
    const fetched = await fetch("http://127.0.0.1:9/").then(
      () => true,
      () => false,
    );
    return { wasRun: "wasRun" in window, hasRequire: "require" in window, fetched };
  });
  expect(reached).toEqual({ wasRun: false, hasRequire: false, fetched: false });
  await app.close();
});
