import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { Page } from "@playwright/test";
import type { RunManifest } from "#shared/domain/run";
import { expect, expectAccessible, openWindow, test } from "./feature-window.ts";

async function tinyRun(home: string): Promise<string> {
  const [run] = (await readdir(path.join(home, "workspace", "runs"))).filter((name) => /-tiny-[0-9a-f]{4}$/.test(name));
  return run ?? "";
}

function manifestOf(home: string, run: string): Promise<RunManifest> {
  // as: written by our own runner.
  return readFile(path.join(home, "workspace", "runs", run, "run.json"), "utf8").then(
    (text) => JSON.parse(text) as RunManifest,
  );
}

const key = (page: Page, name: string) => page.getByRole("textbox", { name, exact: true });
const runInRoute = (page: Page) => decodeURIComponent(new URL(page.url()).hash.split("/")[2] ?? "");

test("a run branches from a checkpoint with its changed keys shown before the launch, and says where it came from", async ({
  trainedCopy,
}) => {
  const parent = await tinyRun(trainedCopy);
  const { app, page } = await openWindow(trainedCopy, `runs/${parent}`);
  await page.getByRole("link", { name: "Branch from step 6" }).click();
  await expect(page.getByRole("heading", { name: "Branch tiny from step 6" })).toBeVisible();
  await expect(page.getByText("Nothing yet: the branch would go the same way again.")).toBeVisible();

  await key(page, "optimizer.lr").fill("1.0e-4");
  await key(page, "max_duration").fill("12ba");
  const difference = page.getByTestId("difference");
  await expect(difference).toContainText("- optimizer.lr: 0.003");
  await expect(difference).toContainText("+ optimizer.lr: 0.0001");
  await expect(difference).toContainText("+ max_duration: 12ba");
  await expect(page.getByTestId("change-forecast")).toContainText("6 steps more, to step 12");

  // What the checkpoint rests on is refused by name, and the button waits.
  await page.getByRole("combobox", { name: "another key" }).fill("model.d_model");
  await page.getByRole("button", { name: "Add" }).click();
  await key(page, "model.d_model").fill("64");
  await expect(page.getByText(/A branch cannot change model\.d_model/)).toBeVisible();
  const launch = page.getByRole("button", { name: /^Branch from step 6/ });
  await expect(launch).toBeDisabled();
  await page.getByRole("button", { name: "Put model.d_model back to 256" }).click();
  await expect(launch).toBeEnabled();
  await page.keyboard.press("Control+Enter");

  await expect(page.getByRole("heading", { name: "tiny-from-6", level: 1 })).toBeVisible();
  await expect(page.getByTestId("run-status")).toHaveText("completed", { timeout: 120_000 });
  const branch = runInRoute(page);
  const manifest = await manifestOf(trainedCopy, branch);
  expect(manifest.branched_from).toEqual({ run: parent, step: 6, changed: expect.arrayContaining(["optimizer.lr"]) });
  expect(manifest.step).toBe(12);
  expect((await manifestOf(trainedCopy, parent)).step).toBe(9);

  // Its lineage leads back, and the parent's curve stands before its own.
  const details = page.getByRole("complementary", { name: "Details" });
  await expect(details.getByText(/branched at step 6/)).toBeVisible();
  await expect(details.getByRole("link", { name: "tiny", exact: true })).toHaveAttribute("href", new RegExp(parent));
  const loss = page.getByRole("region", { name: "Loss", exact: true });
  await expect(loss.getByRole("checkbox", { name: "tiny before" })).toBeChecked();
  await loss.getByRole("button", { name: "table" }).click();
  const table = page.getByRole("region", { name: "Loss as a table" });
  await expect(table.getByRole("columnheader", { name: "tiny, train" })).toBeVisible();
  await expect(table.getByRole("row", { name: /^1 / })).toBeVisible();
  await loss.getByRole("checkbox", { name: "tiny before" }).uncheck();
  await expect(table.getByRole("columnheader", { name: "tiny, train" })).toHaveCount(0);
  await expect(table.getByRole("row", { name: /^1 / })).toHaveCount(0);
  await app.close();
});

test("a completed run is extended by a longer max_duration and goes on without a gap", async ({ trainedCopy }) => {
  const run = await tinyRun(trainedCopy);
  const { app, page } = await openWindow(trainedCopy, `runs/${run}`);
  await page.getByRole("link", { name: "Extend…" }).click();
  await expect(page.getByText("Make max_duration longer.")).toBeVisible();
  await expect(page.getByRole("button", { name: /^Extend run/ })).toBeDisabled();
  await key(page, "max_duration").fill("twelve");
  await expect(page.getByRole("main").locator(".bad")).toContainText("max_duration");
  await key(page, "max_duration").fill("12ba");
  await expect(page.getByTestId("difference")).toContainText("+ max_duration: 12ba");
  await page.getByRole("button", { name: /^Extend run/ }).click();
  await expect(page.getByTestId("run-status")).toHaveText("completed", { timeout: 120_000 });
  await expect(page.getByText("step 12 of 12", { exact: true })).toBeVisible();
  expect(runInRoute(page)).toBe(run);
  expect((await manifestOf(trainedCopy, run)).resumes).toBe(1);
  await app.close();
});

test("a checkpoint that is not there says so and leads back", async ({ trainedCopy }) => {
  const { app, page } = await openWindow(trainedCopy, `runs/${await tinyRun(trainedCopy)}/branch/7`);
  await expect(page.getByRole("heading", { name: "There is no checkpoint of step 7" })).toBeVisible();
  await page.getByRole("link", { name: "Back to the run" }).first().click();
  await expect(page.getByTestId("run-status")).toBeVisible();
  await app.close();
});

test("branching and extending are accessible in both themes", async ({ trainedCopy }) => {
  const run = await tinyRun(trainedCopy);
  for (const theme of ["light", "dark"] as const) {
    const { app, page } = await openWindow(trainedCopy, `runs/${run}/branch/6`, { theme });
    await key(page, "optimizer.lr").fill("1.0e-4");
    await expect(page.getByTestId("difference")).toContainText("+ optimizer.lr");
    await expectAccessible(page);
    await page.evaluate((hash) => {
      window.location.hash = hash;
    }, `#/runs/${run}/extend`);
    await expect(page.getByRole("heading", { name: "Extend tiny" })).toBeVisible();
    await expectAccessible(page);
    await app.close();
  }
});
