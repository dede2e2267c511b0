import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { Page } from "@playwright/test";
import { bioMedLm, writeHeadersOnly } from "../support/foreign-models.ts";
import { ask, expect, expectAccessible, type OpenWindow, openWindow, sourceRoute, test } from "./feature-window.ts";

/** The system's own dialog cannot be driven; what it would answer can. */
async function answerDialog({ app }: OpenWindow, answer: string): Promise<void> {
  await app.evaluate(({ dialog }, file) => {
    dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [file] });
  }, answer);
}

async function newestCheckpoint(home: string): Promise<string> {
  const runs = path.join(home, "workspace", "runs");
  const [run] = (await readdir(runs)).filter((name) => name.includes("-tiny-"));
  return path.join(runs, run ?? "", "checkpoints", "step-9");
}

async function bioMedLmFolder(home: string): Promise<string> {
  const folder = path.join(home, "elsewhere", "BioMedLM");
  await writeHeadersOnly(folder, bioMedLm);
  return folder;
}

const title = (page: Page, name: string) => page.getByRole("heading", { name, level: 1 });
const memory = (page: Page) => page.getByRole("table", { name: "Memory by how weights are kept" });

test("without a model the view says what belongs here; a folder opens by the dialog and stays on the list", async ({
  home,
}) => {
  const folder = await bioMedLmFolder(home);
  const opened = await openWindow(home, "models");
  const { app, page } = opened;
  await expect(page.getByRole("heading", { name: "No models yet" })).toBeVisible();
  await answerDialog(opened, folder);
  await page.getByRole("button", { name: "Open a model folder…" }).click();

  // 2.7B parameters are described at once, since only headers are read.
  await expect(title(page, "BioMedLM")).toBeVisible();
  await expect(page.getByTestId("published-name")).toHaveText("the size of BioMedLM 2.7B");
  await expect(page.getByText(/parameters, exactly 2.594.247.680/)).toBeVisible();
  await expect(page.getByRole("complementary", { name: "Details" })).toContainText("GPT2LMHeadModel");

  await page.getByRole("navigation", { name: "Where you are" }).getByRole("link", { name: "Models" }).click();
  await expect(page.getByRole("link", { name: "BioMedLM" })).toBeVisible();
  await page.getByRole("button", { name: "Take BioMedLM off the list" }).click();
  await expect(page.getByRole("heading", { name: "No models yet" })).toBeVisible();
  expect((await stat(path.join(folder, "model.safetensors"))).size).toBeGreaterThan(1e10);
  await app.close();
});

test("a folder that is dropped on the window opens", async ({ home }) => {
  const folder = await bioMedLmFolder(home);
  const { app, page } = await openWindow(home, "models");
  await expect(page.getByRole("heading", { name: "No models yet" })).toBeVisible();
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await session.send("Input.dispatchDragEvent", { type, x: 600, y: 400, data });
  }
  await expect(title(page, "BioMedLM")).toBeVisible();
  await app.close();
});

test("the memory of every way to keep the weights stands side by side, and a figure opens its arithmetic", async ({
  home,
}) => {
  const folder = await bioMedLmFolder(home);
  const { app, page } = await openWindow(home, sourceRoute("models", folder));
  for (const name of ["fp32", "bf16", "LoRA on bf16", "int8"]) {
    await expect(memory(page).getByRole("columnheader", { name, exact: true })).toBeVisible();
  }
  const total = memory(page)
    .getByRole("row", { name: /^to run/ })
    .getByRole("button")
    .first();
  await expect(total).toHaveText(/GB$/);
  await total.click();
  await expect(total).toHaveAttribute("aria-expanded", "true");
  await expect(memory(page)).toContainText(/Weights 10\.38.GB \+ keys and values/);
  await expect(page.getByTestId("memory-fit")).toContainText("This computer has");

  // Half as many windows keep half as much.
  const activations = memory(page)
    .getByRole("row", { name: /^activations/ })
    .getByRole("button")
    .first();
  const before = Number.parseFloat(await activations.innerText());
  await page.getByRole("textbox", { name: "windows at once" }).fill("2");
  await expect(async () => {
    expect(Number.parseFloat(await activations.innerText())).toBeCloseTo(before / 2, 0);
  }).toPass();
  await app.close();
});

test("tensors are searched by name and shape, and sorted by size", async ({ home }) => {
  const folder = await bioMedLmFolder(home);
  const { app, page } = await openWindow(home, sourceRoute("models", folder));
  const tensors = page.getByRole("region", { name: "Tensors", exact: true });
  await expect(tensors.getByRole("row")).toHaveCount(389);
  await page.getByRole("searchbox", { name: "Search tensors" }).fill("h.31. 2560x7680");
  await expect(tensors.getByRole("row")).toHaveCount(2);
  await expect(tensors).toContainText("transformer.h.31.attn.c_attn.weight");
  await page.getByRole("searchbox", { name: "Search tensors" }).press("Escape");
  await page.getByRole("combobox", { name: "Order of tensors" }).selectOption("size");
  await expect(tensors.getByRole("row").nth(1)).toContainText("transformer.wte.weight");
  await page.getByRole("searchbox", { name: "Search tensors" }).fill("nothing like it");
  await expect(tensors).toContainText("No tensor is called that.");
  await page.getByRole("tab", { name: /^Files/ }).click();
  await expect(page.getByRole("region", { name: "Files", exact: true })).toContainText("config.json");
  await app.close();
});

test("a model is held against its own tokenizer and against another one, in sentences", async ({ trainedCopy }) => {
  const { app, page } = await openWindow(trainedCopy, sourceRoute("models", await newestCheckpoint(trainedCopy)));
  await expect(title(page, "tiny, step 9")).toBeVisible();
  await expect(page.getByTestId("lint-summary")).toContainText("They fit each other.");
  await page.getByRole("combobox", { name: "tokenizer" }).selectOption("gpt2");
  await expect(page.getByTestId("lint-summary")).toContainText("They do not fit: 1 error");
  await expect(page.getByTestId("lint-findings").locator("[data-severity=error]")).toContainText(
    "has ids up to 50 256, but the model only 512 embedding rows",
  );
  await app.close();
});

test("a model is exported, read back and compared, and the export is among the models", async ({ trainedCopy }) => {
  const { app, page } = await openWindow(trainedCopy, sourceRoute("models", await newestCheckpoint(trainedCopy)));
  await page.getByRole("button", { name: "Export…" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("tiny half");
  await expect(page.getByRole("button", { name: /^Export model/ })).toBeDisabled();
  await page.getByRole("textbox", { name: "Name" }).fill("tiny-bf16");
  await page.getByText("bf16", { exact: true }).click();
  await page.getByRole("button", { name: /^Export model/ }).click();
  await expect(page.getByTestId("export-comparison")).toContainText("Read back and compared");
  const target = path.join(trainedCopy, "workspace", "exports", "tiny-bf16");
  expect(await readdir(target)).toEqual(expect.arrayContaining(["config.json", "model.safetensors", "tokenizer.json"]));

  // The same name again is refused, and nothing of what is there is touched.
  await page.getByRole("button", { name: /^Export model/ }).click();
  await expect(page.getByRole("alert")).toContainText("is there already");

  await page.getByText("GGUF", { exact: true }).click();
  await page.getByText("q8_0", { exact: true }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("tiny-q8");
  await page.keyboard.press("Control+Enter");
  await expect(page.getByTestId("export-comparison")).toContainText("its logits differ by at most");
  await page.getByRole("link", { name: "Look at the export" }).click();
  await expect(title(page, "tiny-q8.gguf")).toBeVisible();
  await expect(page.getByRole("region", { name: "Tensors", exact: true })).toContainText("Q8_0");

  await page.getByRole("navigation", { name: "Where you are" }).getByRole("link", { name: "Models" }).click();
  await expect(page.getByRole("row", { name: /tiny-bf16/ })).toContainText("export");
  await app.close();
});

test("fine-tuning with LoRA begins as a recipe with its forecast, trains, and merges into an export", async ({
  trainedCopy,
}) => {
  const opened = await openWindow(trainedCopy, sourceRoute("models", await newestCheckpoint(trainedCopy)));
  const { app, page } = opened;
  await page.getByRole("button", { name: "Fine-tune (LoRA)…" }).click();
  await expect(page.getByText("Choose the texts to fine-tune on.")).toBeVisible();
  const corpus = path.resolve(import.meta.dirname, "../../resources/sample/abstracts.jsonl");
  await answerDialog(opened, corpus);
  await page.getByRole("button", { name: "Choose a file…" }).click();
  await expect(page.getByText(corpus)).toBeVisible();
  await page.getByRole("textbox", { name: "Rank" }).fill("4");
  await page.getByRole("button", { name: /^Write recipe/ }).click();

  await expect(title(page, "tiny-step-9-lora")).toBeVisible();
  await expect(page.getByTestId("recipe-editor")).toContainText("lora: { rank: 4");
  await expect(page.getByRole("complementary", { name: "Details" })).toContainText("memory");
  const file = path.join(trainedCopy, "workspace", "recipes", "tiny-step-9-lora.yaml");
  // A whole pass over the sample takes minutes; a few steps show the same.
  const text = (await readFile(file, "utf8"))
    .replace("max_duration: 1ep", "max_duration: 4ba")
    .replace("t_warmup: 10ba", "t_warmup: 1ba")
    .replace("save_interval: 100ba", "save_interval: 4ba");
  const started = await ask(page, "runs.start", { recipeText: text, recipeFile: file });
  // as: what the contract says of runs.start.
  const { run } = (started as { value: { run: string } }).value;
  await page.evaluate((id) => {
    window.location.hash = `#/runs/${id}`;
  }, run);
  await expect(page.getByTestId("run-status")).toHaveText("completed", { timeout: 120_000 });
  const details = page.getByRole("complementary", { name: "Details" });
  await expect(details).toContainText("rank 4 on c_attn");
  await expect(details).toContainText("its first weights");

  await details.getByRole("link", { name: "step 4", exact: true }).click();
  await expect(details).toContainText("LoRA rank");
  await page.getByRole("button", { name: "Export…" }).click();
  await expect(page.getByText("The adapter is merged into the weights.")).toBeVisible();
  await page.getByRole("textbox", { name: "Name" }).fill("tiny-merged");
  await page.getByRole("button", { name: /^Export model/ }).click();
  await expect(page.getByTestId("export-comparison")).toContainText("Read back and compared");
  await app.close();
});

test("what is no model says so, offers the way out, and does not harm the others", async ({ trainedCopy }) => {
  const folder = path.join(trainedCopy, "not-a-model");
  await mkdir(folder, { recursive: true });
  const opened = await openWindow(trainedCopy, "models");
  const { app, page } = opened;
  await expect(page.getByRole("link", { name: "tiny, step 9" })).toBeVisible();
  await answerDialog(opened, folder);
  await page.getByRole("button", { name: "Open model folder…" }).click();
  await expect(page.getByRole("heading", { name: "This model cannot be opened" })).toBeVisible();
  await page.getByRole("button", { name: "Take it off the list" }).click();
  await expect(page.getByRole("link", { name: "tiny, step 9" })).toBeVisible();
  await expect(page.getByRole("link", { name: "not-a-model" })).toHaveCount(0);
  await app.close();
});

test("the view is accessible in both themes: list, model, export and fine-tuning", async ({ trainedCopy }) => {
  const checkpoint = await newestCheckpoint(trainedCopy);
  for (const theme of ["light", "dark"] as const) {
    const { app, page } = await openWindow(trainedCopy, "models", { theme });
    await expect(page.getByRole("link", { name: "tiny, step 9" })).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("link", { name: "tiny, step 9" }).click();
    await memory(page).getByRole("button").first().click();
    await page.getByRole("combobox", { name: "tokenizer" }).selectOption("gpt2");
    await expect(page.getByTestId("lint-summary")).toContainText("They do not fit");
    await expectAccessible(page);
    for (const part of ["export", "fine-tune"]) {
      await page.evaluate(
        (hash) => {
          window.location.hash = hash;
        },
        `#/${sourceRoute("models", checkpoint)}/${part}`,
      );
      await expect(page.getByRole("main").getByRole("group")).toBeVisible();
      await expectAccessible(page);
    }
    await app.close();
  }
});
