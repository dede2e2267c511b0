#!/usr/bin/env node
// Takes the pictures in docs/images from the real window: every view in both themes, on a workspace where the main job
// has run.
// usage: xvfb-run -a -s "-screen 0 1600x1200x24" node scripts/screenshots.mjs [WORKSPACE]    (default: a new one)
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { _electron } from "@playwright/test";
import { resolveElectron } from "./electron-runtime.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const images = path.join(root, "docs", "images");
const given = process.argv[2];
const workspace = given ?? mkdtempSync(path.join(tmpdir(), "assay-pictures-"));
const found = resolveElectron({ allowFallback: true });
if (found === null) {
  console.error("There is no Electron: run `npm run setup` first.");
  process.exit(1);
}
if (!existsSync(path.join(workspace, "runs"))) {
  spawnSync(process.execPath, [path.join(root, "scripts/assay.mjs"), "quickstart", "--workspace", workspace], {
    stdio: "inherit",
  });
}
mkdirSync(images, { recursive: true });

const app = await _electron.launch({
  executablePath: found.binary,
  args: [
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    "--disable-gpu",
    `--user-data-dir=${mkdtempSync(path.join(tmpdir(), "assay-pictures-data-"))}`,
    root,
  ],
  env: { ...process.env, ASSAY_HOME: workspace },
});
const page = await app.firstWindow();

/** @param {string} name @param {object} input @returns {Promise<any>} */
const ask = (name, input) =>
  page.evaluate(async ([asked, value]) => (await window.assay.request(asked, value)).value, [name, input]);

/** @param {number} width @param {number} height */
const resize = (width, height) =>
  app.evaluate(
    ({ BrowserWindow }, size) => BrowserWindow.getAllWindows()[0]?.setSize(size[0], size[1]),
    [width, height],
  );

/** @param {...string} parts */
async function go(...parts) {
  await page.evaluate(
    (hash) => {
      window.location.hash = hash;
    },
    `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`,
  );
  await page.waitForTimeout(1500);
}

/** @param {string} name */
const shoot = (name) => page.screenshot({ path: path.join(images, `${name}.png`) });

const [run] = await ask("runs.list", {});
const text =
  "Immunohistochemistry confirmed cytotoxicity of the probiotic strain after liquid chromatography; EGFR expression fell 3.2-fold (P < 0.001).";

for (const theme of ["light", "dark"]) {
  await ask("app.change-settings", { theme });
  await resize(1440, 900);
  await go("home");
  await shoot(`home-${theme}`);
  await go("runs");
  await shoot(`runs-${theme}`);
  await go("runs", run.id);
  await shoot(`run-${theme}`);
  await go("recipes");
  await shoot(`recipes-${theme}`);
  await go("recipes", "preset:biomedlm-tiny");
  await page.locator(".monaco-editor .view-line").first().waitFor();
  await page.waitForTimeout(1500);
  await shoot(`recipe-${theme}`);
  await go("tokenizers");
  await shoot(`tokenizers-${theme}`);
  await go("tokenizers", path.join(run.directory, "tokenizer"));
  await page.getByRole("main").getByRole("textbox").first().fill(text);
  await page.waitForTimeout(1500);
  await shoot(`tokenizer-${theme}`);
  await go("playground");
  await page.getByRole("main").getByRole("textbox").first().fill("Background: Patients with type 2 diabetes");
  await page.getByRole("button", { name: /^Continue/ }).click();
  await page.getByTestId("generation-figures").waitFor();
  await page.waitForTimeout(1500);
  await shoot(`playground-${theme}`);
  await go("settings");
  await shoot(`settings-${theme}`);
  await go("runs", run.id);
  for (const width of [900, 640]) {
    await resize(width, 800);
    await page.waitForTimeout(800);
    await shoot(`run-${theme}-${width}`);
  }
}
await app.close();
