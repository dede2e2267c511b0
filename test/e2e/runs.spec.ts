import { writeFile } from "node:fs/promises";
import path from "node:path";
import { ask, expect, expectAccessible, test } from "./feature-window.ts";
import { curveSteps, expectNoGap, manifest, openAssay, runDirectory, status } from "./run-window.ts";

test("from first start to a model in training: the curve grows, and the run is paused, let go on, stopped and resumed", async ({
  home,
}) => {
  const { app, page } = await openAssay(home, "home");
  await expect(page.getByRole("heading", { name: "A language model of your own field" })).toBeVisible();
  await expect(page.getByText(/^about .* memory, .* disk$/)).toBeVisible();
  await page.getByRole("button", { name: "Train a biomedical model on this computer now" }).click();
  await expect(status(page)).toHaveText("running");
  const directory = await runDirectory(home);
  const run = path.basename(directory);

  const before = (await curveSteps(page, run)).length;
  await expect.poll(async () => (await curveSteps(page, run)).length).toBeGreaterThan(before + 5);
  await expect(
    page.getByRole("figure", { name: "Loss by step" }).locator("path.recharts-line-curve").first(),
  ).toBeVisible();
  await expect(page.getByRole("link", { name: "Runs 1 under way" })).toBeVisible();

  await page.getByRole("button", { name: "Checkpoint now" }).click();
  await expect(
    page.getByRole("complementary", { name: "Details" }).getByRole("link", { name: /^step/ }),
  ).not.toHaveCount(0);

  await page.getByRole("button", { name: "Pause" }).click();
  await expect(status(page)).toHaveText("paused");
  const paused = (await manifest(directory)).step;
  await page.waitForTimeout(1500);
  expect((await manifest(directory)).step).toBe(paused);
  await page.getByRole("button", { name: "Go on" }).click();
  await expect(status(page)).toHaveText("running");
  await expect.poll(async () => (await manifest(directory)).step).toBeGreaterThan(paused);

  await page.getByRole("button", { name: "Stop" }).click();
  await expect(status(page)).toHaveText("stopped");
  const stopped = (await manifest(directory)).step;
  await page.getByRole("button", { name: "Resume run" }).click();
  await expect.poll(async () => (await manifest(directory)).step).toBeGreaterThan(stopped);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(status(page)).toHaveText("stopped");
  expectNoGap(await curveSteps(page, run));
  await app.close();
});

test("killing the app during training leaves the run going, and the window opens again on its curve without a gap", async ({
  home,
}) => {
  const first = await openAssay(home, "home");
  await first.page.getByRole("button", { name: "Train a biomedical model on this computer now" }).click();
  await expect(status(first.page)).toHaveText("running");
  const directory = await runDirectory(home);
  const run = path.basename(directory);
  await expect.poll(async () => (await curveSteps(first.page, run)).length).toBeGreaterThan(3);
  const gone = new Promise((resolve) => first.app.process().once("exit", resolve));
  process.kill(first.app.process().pid ?? 0, "SIGKILL");
  await gone;

  const killedAt = (await manifest(directory)).step;
  await expect.poll(async () => (await manifest(directory)).step).toBeGreaterThan(killedAt + 5);
  expect((await manifest(directory)).resumes).toBe(0);

  // What was open last is open again.
  const second = await openAssay(home, null);
  await expect(second.page.getByRole("heading", { name: "biomedlm-tiny", level: 1 })).toBeVisible();
  await expect(status(second.page)).toHaveText(/running|completed/);
  const steps = await curveSteps(second.page, run);
  expect(steps.length).toBeGreaterThan(killedAt);
  expectNoGap(steps);
  if ((await status(second.page).textContent()) === "running") {
    await second.page.getByRole("button", { name: "Stop" }).click();
  }
  await expect(status(second.page)).toHaveText(/stopped|completed/);
  await second.app.close();
});

test("the curve is read out step by step, zoomed, shown on a log axis and as a table that can be copied", async ({
  trainedHome,
}) => {
  const { app, page } = await openAssay(trainedHome, "runs");
  await page.getByRole("link", { name: "tiny" }).click();
  await expect(status(page)).toHaveText("completed");
  const plot = page.getByRole("application", { name: /^Loss by step/ });
  await plot.focus();
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByTestId("chart-readout")).toContainText("step 9");
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByTestId("chart-readout")).toContainText("step 8");
  await page.keyboard.press("Escape");
  await expect(page.getByTestId("chart-readout")).toHaveCount(0);

  const box = await plot.boundingBox();
  const at = (share: number): readonly [number, number] => [
    (box?.x ?? 0) + (box?.width ?? 0) * share,
    (box?.y ?? 0) + (box?.height ?? 0) / 2,
  ];
  await page.mouse.move(...at(0.3));
  await page.mouse.down();
  await page.mouse.move(...at(0.7), { steps: 4 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Show the whole run" }).click();
  await expect(page.getByText("all 9 points")).toBeVisible();
  await page.getByRole("combobox", { name: "y:" }).selectOption("log");
  await page.getByRole("combobox", { name: "x:" }).selectOption("tokens");
  await expect(page.getByRole("figure", { name: "Loss by tokens" })).toBeVisible();

  await page.getByRole("button", { name: "table" }).click();
  const table = page.getByRole("region", { name: "Loss as a table" });
  // Step 0 has only a held-out loss.
  await expect(table.getByRole("row")).toHaveCount(1 + 10);
  await page.getByRole("button", { name: "Copy table" }).click();
  await expect(page.getByRole("button", { name: "Copied" })).toBeVisible();
  const copied = await app.evaluate(({ clipboard }) => clipboard.readText());
  expect(copied.split("\n")).toHaveLength(11);
  expect(copied).toMatch(/^tokens\ttrain, every step\ttrain, smoothed\theld out\n/);
  await app.close();
});

test("log, samples, problems and the recipe that was really used lie below the run", async ({ trainedHome }) => {
  const { app, page } = await openAssay(trainedHome, "runs");
  await page.getByRole("link", { name: "tiny" }).click();
  await expect(page.getByRole("log", { name: "Log" })).toContainText("Completed at step 9.");
  await page.getByRole("tab", { name: "Log" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("region", { name: "Samples", exact: true })).toBeVisible();
  await page.getByRole("tab", { name: "Problems" }).click();
  await expect(page.getByText("Nothing has gone wrong in this run.")).toBeVisible();
  await page.getByRole("tab", { name: "Recipe" }).click();
  await expect(page.getByLabel("Recipe", { exact: true })).toContainText("run_name: tiny");
  await page.getByRole("button", { name: "Fold the panel" }).click();
  await page.getByRole("button", { name: "Unfold the panel" }).click();
  await app.close();
});

test("a run that fails says why, and one that this version cannot read is listed with a sentence", async ({ home }) => {
  const { app, page } = await openAssay(home, "runs");
  await expect(page.getByRole("heading", { name: "No runs yet" })).toBeVisible();
  const text = path.join(home, "short.txt");
  await writeFile(text, "Too short to fill one context.");
  const recipeText = `
run_name: starved
max_seq_len: 256
model: {name: gpt2, n_layers: 1, n_heads: 2, d_model: 32}
tokenizer: {path: gpt2}
data: {train: ${text}, eval: ${text}}
optimizer: {name: decoupled_adamw, lr: 1.0e-3}
global_train_batch_size: 1
max_duration: 5ba
`;
  expect(await ask(page, "runs.start", { recipeText, recipeFile: null })).toMatchObject({ ok: true });
  await page.getByRole("link", { name: "starved" }).click();
  await expect(status(page)).toHaveText("failed");
  await expect(page.getByTestId("exit-reason")).toContainText("TEXT_SHORTER_THAN_CONTEXT");
  await expect(page.getByText("It ended before its first step, so there is no curve.")).toBeVisible();
  await page.getByRole("tab", { name: /^Problems/ }).click();
  await expect(page.getByRole("region", { name: "Problems", exact: true })).toContainText("max_seq_len 256 needs 257");
  await expect(page.getByRole("button", { name: "Resume run" })).toBeVisible();

  const directory = await runDirectory(home);
  await writeFile(
    path.join(directory, "run.json"),
    JSON.stringify({ ...(await manifest(directory)), format_version: 99 }),
  );
  await page.getByRole("link", { name: "Runs", exact: true }).first().click();
  await expect(page.getByText("cannot be read")).toBeVisible();
  await app.close();
});

test("a run that is not there is said in a sentence that leads on", async ({ trainedHome }) => {
  const { app, page } = await openAssay(trainedHome, "runs/20261121-000000-nowhere-0000");
  await expect(page.getByRole("alert")).toContainText("nowhere");
  await page.getByRole("link", { name: "All runs" }).click();
  await expect(page.getByRole("heading", { name: "Runs" })).toBeVisible();
  await app.close();
});

test("Home, the runs, one run and the settings are accessible in both themes", async ({ trainedHome, home }) => {
  for (const theme of ["light", "dark"] as const) {
    const first = await openAssay(home, "home", theme);
    await expect(first.page.getByRole("button", { name: /^Train a biomedical model/ })).toBeVisible();
    await expectAccessible(first.page);
    await first.app.close();

    const { app, page } = await openAssay(trainedHome, "home", theme);
    await expect(page.getByRole("heading", { name: "Recent runs" })).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await expect(page.getByRole("table")).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("table").getByRole("link", { name: "tiny" }).click();
    await expect(page.getByRole("figure", { name: "Loss by step" })).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("link", { name: "Settings" }).click();
    await expect(page.getByRole("radiogroup", { name: "Theme" })).toBeVisible();
    await expectAccessible(page);
    await page.keyboard.press("Control+k");
    await expect(page.getByRole("dialog")).toBeVisible();
    await expectAccessible(page);
    await app.close();
  }
});
