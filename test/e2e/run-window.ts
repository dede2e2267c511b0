// What the specs of the run view and the shell share: reading a run on screen and on disk.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { expect, type Page } from "@playwright/test";
import type { RunManifest } from "#shared/domain/run";
import type { Bridge } from "#shared/ipc/bridge";
import { launchWindow } from "./electron.ts";
import { ask, type OpenWindow } from "./feature-window.ts";

/** Opens on the workspace in `home`, remembering what an earlier window of that home remembered; null: what was open last. */
export async function openAssay(
  home: string,
  route: string | null,
  theme: "light" | "dark" = "light",
): Promise<OpenWindow> {
  const opened = await launchWindow({
    workspace: path.join(home, "workspace"),
    userData: path.join(home, "user-data"),
  });
  if (route !== null) {
    await ask(opened.page, "app.change-settings", { theme });
    await opened.page.evaluate((hash) => {
      window.location.hash = `#/${hash}`;
    }, route);
  }
  return opened;
}

export const status = (page: Page) => page.getByTestId("run-status");

/** The one run of a workspace. */
export async function runDirectory(home: string): Promise<string> {
  const folder = path.join(home, "workspace", "runs");
  const [run] = (await readdir(folder)).filter((name) => !name.startsWith("."));
  return path.join(folder, run ?? "");
}

export async function manifest(directory: string): Promise<RunManifest> {
  // as: written by our own runner.
  return JSON.parse(await readFile(path.join(directory, "run.json"), "utf8")) as RunManifest;
}

/** The steps of the training loss as the window gets them for its curve. */
export function curveSteps(page: Page, run: string): Promise<readonly number[]> {
  return page.evaluate(async (id) => {
    // as: the preload script puts the bridge there.
    const { assay } = window as unknown as { readonly assay: Bridge };
    const answer = await assay.request("runs.series", { run: id, keys: ["train/loss"], x: "step", buckets: 4000 });
    // as: what the contract says of runs.series.
    const value = (answer as { value?: { series: { x: Float64Array }[] } }).value;
    return Array.from(value?.series[0]?.x ?? []);
  }, run);
}

/** Every step from the first to the last is there, once. */
export function expectNoGap(steps: readonly number[]): void {
  expect(steps.length).toBeGreaterThan(0);
  expect(steps).toEqual(steps.map((_, at) => at + 1));
}
