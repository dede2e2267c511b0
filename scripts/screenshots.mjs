#!/usr/bin/env node
// Takes the pictures in docs/images from the real window: every view in both themes, on a workspace where the main job
// has run, a branch of it too, and a model of BioMedLM's shape lies as headers alone.
// usage: xvfb-run -a -s "-screen 0 1600x1200x24" node scripts/screenshots.mjs [WORKSPACE]    (default: a new one)
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
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

/** A model of BioMedLM's shape: whole headers over a file without content, so that it takes no room. */
async function writeBioMedLm() {
  const folder = path.join(workspace, "models", "BioMedLM");
  if (existsSync(folder)) {
    return folder;
  }
  const width = 2560;
  /** @type {[string, number[]][]} */
  const shapes = [
    ["transformer.wte.weight", [28_896, width]],
    ["transformer.wpe.weight", [1024, width]],
    ...Array.from({ length: 32 }, (_, layer) => {
      /** @type {[string, number[]][]} */
      const block = [
        ["ln_1.weight", [width]],
        ["ln_1.bias", [width]],
        ["attn.c_attn.weight", [width, 3 * width]],
        ["attn.c_attn.bias", [3 * width]],
        ["attn.c_proj.weight", [width, width]],
        ["attn.c_proj.bias", [width]],
        ["ln_2.weight", [width]],
        ["ln_2.bias", [width]],
        ["mlp.c_fc.weight", [width, 4 * width]],
        ["mlp.c_fc.bias", [4 * width]],
        ["mlp.c_proj.weight", [4 * width, width]],
        ["mlp.c_proj.bias", [width]],
      ];
      return block.map(
        ([name, shape]) => /** @type {[string, number[]]} */ ([`transformer.h.${layer}.${name}`, shape]),
      );
    }).flat(),
    ["transformer.ln_f.weight", [width]],
    ["transformer.ln_f.bias", [width]],
  ];
  let end = 0;
  const header = Buffer.from(
    JSON.stringify(
      Object.fromEntries(
        shapes.map(([name, shape]) => {
          const begin = end;
          end += 4 * shape.reduce((product, size) => product * size, 1);
          return [name, { dtype: "F32", shape, data_offsets: [begin, end] }];
        }),
      ),
    ),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, "config.json"),
    JSON.stringify({
      model_type: "gpt2",
      architectures: ["GPT2LMHeadModel"],
      vocab_size: 28_896,
      n_positions: 1024,
      n_embd: width,
      n_layer: 32,
      n_head: 20,
      scale_attn_by_inverse_layer_idx: true,
      bos_token_id: 28_895,
      eos_token_id: 28_895,
    }),
  );
  const file = path.join(folder, "model.safetensors");
  writeFileSync(file, Buffer.concat([length, header]));
  truncateSync(file, 8 + header.length + end);
  return folder;
}

/** A branch of the main job at a lower rate, once. @param {any} run */
async function branchOf(run) {
  const runs = await ask("runs.list", {});
  const known = runs.find((/** @type {any} */ each) => each.name.includes("-from-"));
  if (known !== undefined) {
    return known.id;
  }
  const { checkpoints } = await ask("runs.show", { run: run.id });
  const started = await ask("runs.branch", {
    run: run.id,
    step: checkpoints.at(-2).step,
    set: ["optimizer.lr=3.0e-4", "max_duration=600ba"],
  });
  for (;;) {
    const { summary } = await ask("runs.show", { run: started.run });
    if (summary.status === "completed") {
      return started.run;
    }
    await page.waitForTimeout(1000);
  }
}

const all = await ask("runs.list", {});
const run = all.find((/** @type {any} */ each) => each.name === "biomedlm-tiny");
const bioMedLm = await writeBioMedLm();
const branch = await branchOf(run);
const checkpoint = path.join(run.directory, "checkpoints", `step-${run.step}`);
const text =
  "Immunohistochemistry confirmed cytotoxicity of the probiotic strain after liquid chromatography; EGFR expression fell 3.2-fold (P < 0.001).";

/**
 * Two corpora of the sample's invented abstracts, one imported and one cleaned: with years, journals and headings, so that
 * there is something to count, some again with another ending, and some too short to stay.
 */
function writeCorpora() {
  const folder = path.join(workspace, "corpora");
  const corpus = (/** @type {string} */ name) => path.join(folder, `${name}.jsonl`);
  const found = { imported: corpus("abstracts"), cleaned: corpus("abstracts-clean") };
  if (existsSync(found.cleaned)) {
    return found;
  }
  mkdirSync(folder, { recursive: true });
  const journals = [
    "Annals of Invented Trials",
    "Journal of Sample Medicine",
    "Sample Letters",
    "Imaginary Cardiology",
  ];
  const headings = ["Humans", "Adult", "Double-Blind Method", "Aged", "Treatment Outcome", "Animals", "Rats"];
  const sample = readFileSync(path.join(root, "resources", "sample", "abstracts.jsonl"), "utf8")
    .trim()
    .split("\n");
  const lines = sample.flatMap((line, at) => {
    const { id, text } = JSON.parse(line);
    const own = {
      year: 2024 - Math.floor(Math.sqrt((at * 37) % 300)),
      journal: journals[Math.floor(Math.sqrt((at * 7) % 16))],
      language: "eng",
      mesh: headings.filter((_, heading) => (at * 11) % (heading + 2) === 0),
    };
    return [
      { id, text, ...own },
      ...(at % 13 === 0
        ? [{ id: `${id}-erratum`, text: `${text} An earlier version named another centre.`, ...own }]
        : []),
      ...(at % 29 === 0 ? [{ id: `${id}-title`, text: text.split(". ")[0], ...own }] : []),
    ];
  });
  const source = path.join(mkdtempSync(path.join(tmpdir(), "assay-pictures-texts-")), "abstracts.jsonl");
  writeFileSync(source, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  for (const words of [
    ["import", source, "--out", found.imported],
    ["clean", found.imported, "--language", "en", "--out", found.cleaned],
  ]) {
    spawnSync(process.execPath, [path.join(root, "scripts/assay.mjs"), "corpus", ...words], { stdio: "inherit" });
  }
  return found;
}

const corpora = writeCorpora();

for (const theme of ["light", "dark"]) {
  await ask("app.change-settings", { theme });
  await resize(1440, 900);
  await go("home");
  await shoot(`home-${theme}`);
  await go("runs");
  await shoot(`runs-${theme}`);
  await go("runs", run.id);
  await shoot(`run-${theme}`);
  await go("runs", branch);
  await shoot(`run-branch-${theme}`);
  await go("runs", run.id, "branch", "300");
  await page.getByRole("textbox", { name: "optimizer.lr" }).fill("3.0e-4");
  await page.getByRole("textbox", { name: "max_duration" }).fill("600ba");
  await page.waitForTimeout(1200);
  await shoot(`branch-${theme}`);
  await go("models");
  await shoot(`models-${theme}`);
  await go("models", bioMedLm);
  await page.getByRole("combobox", { name: "tokenizer" }).selectOption("gpt2");
  await page
    .getByRole("row", { name: /^to run/ })
    .getByRole("button")
    .nth(1)
    .click();
  await page.mouse.move(0, 0);
  await page.waitForTimeout(800);
  await shoot(`model-${theme}`);
  await go("models", checkpoint, "fine-tune");
  await shoot(`fine-tune-${theme}`);
  rmSync(path.join(workspace, "exports"), { recursive: true, force: true });
  await go("models", checkpoint, "export");
  await page.getByText("bf16", { exact: true }).click();
  await page.getByRole("button", { name: /^Export model/ }).click();
  await page.getByTestId("export-comparison").waitFor();
  await page.waitForTimeout(500);
  await shoot(`export-${theme}`);
  await go("recipes");
  await shoot(`recipes-${theme}`);
  await go("recipes", "preset:biomedlm-tiny");
  await page.locator(".monaco-editor .view-line").first().waitFor();
  await page.waitForTimeout(1500);
  await shoot(`recipe-${theme}`);
  await go("corpora");
  await shoot(`corpora-${theme}`);
  await go("corpora", corpora.imported);
  await shoot(`corpus-${theme}`);
  await go("corpora", corpora.imported, "statistics");
  await page.waitForTimeout(2500);
  await shoot(`corpus-statistics-${theme}`);
  await go("corpora", corpora.cleaned, "ledger");
  await page.locator(".ledger button[aria-expanded]").first().click();
  await page.waitForTimeout(700);
  await shoot(`corpus-ledger-${theme}`);
  await go("corpora", corpora.cleaned, "clusters");
  await shoot(`corpus-near-duplicates-${theme}`);
  await go("corpora", corpora.imported, "clean");
  await shoot(`corpus-clean-${theme}`);
  await go("corpora", "import");
  await shoot(`corpus-import-${theme}`);
  await go("tokenizers");
  await shoot(`tokenizers-${theme}`);
  await go("tokenizers", "train");
  await shoot(`tokenizer-train-${theme}`);
  await go("tokenizers", "compare");
  await page.getByRole("checkbox", { name: /^biomedlm-tiny(?!-)/ }).check();
  await page.getByRole("button", { name: "Add BioMedLM’s terms" }).click();
  await page.getByRole("button", { name: /^Compare tokenizers/ }).click();
  await page.waitForTimeout(2500);
  await shoot(`tokenizers-compare-${theme}`);
  await go("tokenizers", path.join(run.directory, "tokenizer"));
  await page.getByRole("main").getByRole("textbox").first().fill(text);
  await page.waitForTimeout(1500);
  await shoot(`tokenizer-${theme}`);
  await go("playground");
  await page.getByRole("main").getByRole("textbox").first().fill("Background: Patients with type 2 diabetes");
  await page.getByRole("button", { name: /^Continue/ }).click();
  await page.getByTestId("generation-figures").waitFor();
  await page.waitForTimeout(1500);
  await page.getByRole("option").nth(7).click();
  await page.waitForTimeout(500);
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
