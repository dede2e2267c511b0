import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, expectAccessible, openWindow, runTokenizer, sourceRoute, test } from "./feature-window.ts";

test("a text is shown in pieces beside GPT-2's, on the same columns, and a piece tells how it came to be", async ({
  trainedHome,
}) => {
  const { app, page } = await openWindow(trainedHome, sourceRoute("tokenizers", await runTokenizer(trainedHome)));
  const text = "patients with β-cell µ 😀";
  await page.getByRole("textbox", { name: "Text to cut into pieces" }).fill(text);
  const own = page.getByRole("listbox", { name: "Pieces of tiny" });
  const gpt2 = page.getByRole("listbox", { name: "Pieces of gpt2" });
  await expect(gpt2.getByRole("option", { name: "with, id 351" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Pieces by gpt2" })).toContainText("bytes/piece");

  // The same word stands at the same place in both rows.
  const left = async (row: typeof own) => (await row.locator(".piece-line").first().boundingBox())?.x ?? Number.NaN;
  expect(await left(own)).toBe(await left(gpt2));
  const widths = await Promise.all(
    [own, gpt2].map((row) =>
      row
        .locator(".piece-line")
        .first()
        .evaluate((line) => Array.from(line.children).reduce((sum, run) => sum + run.getBoundingClientRect().width, 0)),
    ),
  );
  expect(Math.abs((widths[0] ?? 0) - (widths[1] ?? 1))).toBeLessThan(1);

  await gpt2.getByRole("option", { name: "with, id 351" }).click();
  const details = page.getByRole("complementary", { name: "Details" });
  await expect(details).toContainText("␣with");
  await expect(details).toContainText("20 77 69 74 68");
  await expect(details).toContainText("8–13");
  await expect(details.locator(".merges")).toContainText("merge");
  await app.close();
});

test("pieces are reached by the arrow keys", async ({ trainedHome }) => {
  const { app, page } = await openWindow(trainedHome, "tokenizers/gpt2");
  await page.getByRole("textbox", { name: "Text to cut into pieces" }).fill("one two three");
  const row = page.getByRole("listbox", { name: "Pieces of gpt2" });
  await expect(row.getByRole("option")).toHaveCount(3);
  await row.focus();
  await page.keyboard.press("End");
  await expect(page.getByTestId("piece-readout")).toContainText("␣three");
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByTestId("piece-readout")).toContainText("␣two");
  await page.keyboard.press("Escape");
  await expect(page.getByTestId("piece-readout")).toContainText("Point at a piece");
  await app.close();
});

test("a text beyond the limit is shown up to it, and the view says so", async ({ home }) => {
  const { app, page } = await openWindow(home, "tokenizers/gpt2");
  await page.getByRole("textbox", { name: "Text to cut into pieces" }).fill("a word ".repeat(30_000));
  await expect(page.getByText(/^The first 200.000 characters are shown below; 10.000 more are not\./)).toBeVisible();
  await expect(page.getByRole("region", { name: "Pieces by gpt2" })).toContainText(/5\d.\d{3} pieces/);
  // Only the lines in view are drawn.
  expect(await page.locator(".piece").count()).toBeLessThan(4000);
  await app.close();
});

test("a tokenizer is trained from files and opens when it is done", async ({ home }) => {
  const { app, page } = await openWindow(home, "tokenizers");
  await page.getByRole("button", { name: "Train tokenizer…" }).click();
  await expect(page.getByRole("button", { name: /^Train tokenizer/ })).toBeDisabled();
  const corpus = path.resolve(import.meta.dirname, "../../resources/sample/abstracts.jsonl");
  // The system's own dialog cannot be driven; what it would answer can.
  await app.evaluate(({ dialog }, file) => {
    dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [file] });
  }, corpus);
  await page.getByRole("button", { name: "Add files…" }).click();
  await expect(page.getByText(corpus)).toBeVisible();
  await page.getByRole("textbox", { name: "Name" }).fill("sample-400");
  await page.getByRole("textbox", { name: "Vocabulary size" }).fill("400");
  await expect(page.getByTestId("training-forecast")).toContainText(
    /different words\. Training will take about .+ and .+ of memory\./,
  );
  await page.getByRole("button", { name: /^Train tokenizer/ }).click();
  await expect(page.getByRole("heading", { name: "sample-400", level: 1 })).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText("byte-level BPE, 400 pieces, in this workspace")).toBeVisible();

  // The same name again is refused before anything starts.
  await page.getByRole("button", { name: "Train tokenizer…" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("sample-400");
  await expect(page.locator("#train-tokenizer-note")).toHaveText("There is a tokenizer sample-400 already.");
  await app.close();
});

test("the view is accessible in both themes", async ({ trainedHome }) => {
  for (const theme of ["light", "dark"] as const) {
    const { app, page } = await openWindow(trainedHome, "tokenizers", { theme });
    await expect(page.getByRole("link", { name: "tiny" })).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("link", { name: "tiny" }).click();
    await page.getByRole("listbox", { name: "Pieces of tiny" }).getByRole("option").first().click();
    await expect(page.getByRole("complementary", { name: "Details" })).toContainText("in this text");
    await expectAccessible(page);
    await page.getByRole("button", { name: "Train tokenizer…" }).click();
    await expect(page.getByRole("heading", { name: "Train a tokenizer" })).toBeVisible();
    await expectAccessible(page);
    await app.close();
  }
});

test("tokenizers are compared on texts, annotated entities and terms", async ({ trainedHome }) => {
  const { app, page } = await openWindow(trainedHome, "tokenizers/compare");
  const corpus = path.resolve(import.meta.dirname, "../../resources/sample/abstracts.jsonl");
  const iob = path.join(trainedHome, "BC5CDR-chem.tsv");
  await writeFile(iob, "methotrexate\tB-Chemical\ninhibits\tO\nfolic\tB-Chemical\nacid\tI-Chemical\n");
  const addFiles = async (index: number, file: string) => {
    await app.evaluate(({ dialog }, chosen) => {
      dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [chosen] });
    }, file);
    await page.getByRole("button", { name: "Add files…" }).nth(index).click();
    await expect(page.getByText(file)).toBeVisible();
  };
  const start = page.getByRole("button", { name: /^Compare tokenizers/ });
  await expect(page.locator("#compare-note")).toHaveText("add texts, annotated entities or terms");
  await expect(start).toBeDisabled();
  await page.getByRole("checkbox", { name: /^tiny/ }).check();
  await addFiles(0, corpus);
  await addFiles(1, iob);
  await page.getByRole("button", { name: "Add BioMedLM’s terms" }).click();
  await page.getByRole("textbox", { name: "Most frequent names of the entities" }).fill("2");
  await start.click();
  const texts = page.getByRole("region", { name: /^Texts/ });
  await expect(texts.getByRole("row")).toHaveCount(3);
  const entities = page.getByRole("region", { name: /^Entity break rate/ });
  await expect(entities).toContainText("BERT-cased");
  await expect(entities).toContainText("3.012");
  const terms = page.getByRole("region", { name: /^Terms/ });
  await expect(terms.getByRole("row")).toHaveCount(1 + 5 + 2);
  await expect(terms.getByRole("row", { name: /methotrexate/ })).toBeVisible();
  await expectAccessible(page);
  await app.close();
});

test("a word's merges are told, and a vocabulary is searched and laid over another", async ({ trainedHome }) => {
  const { app, page } = await openWindow(trainedHome, sourceRoute("tokenizers", await runTokenizer(trainedHome)));
  const word = page.getByRole("region", { name: "Why a word splits where it does" });
  await expect(word.getByRole("list", { name: "Merges in order" }).getByRole("listitem").first()).toBeVisible();
  await word.getByRole("textbox").fill("patients");
  await expect(word).toContainText(/pieces?[;,]/);
  const vocabulary = page.getByRole("region", { name: "Vocabulary" });
  await vocabulary.getByRole("textbox", { name: "Search the vocabulary" }).fill("/^ p/");
  await expect(vocabulary.getByRole("status")).toContainText("of 512 pieces");
  await vocabulary.getByRole("textbox", { name: "Search the vocabulary" }).fill("/(/");
  await expect(vocabulary).toContainText("no regular expression");
  await vocabulary.getByRole("combobox", { name: "beside" }).selectOption({ label: "gpt2" });
  await expect(page.getByTestId("overlap")).toContainText("pieces in both");
  await expectAccessible(page);
  await app.close();
});

test("words are explained for WordPiece by the longest pieces, for unigram by the likeliest cuts", async ({ home }) => {
  const corpus = path.resolve(import.meta.dirname, "../../resources/sample/abstracts.jsonl");
  for (const type of ["wordpiece", "unigram"]) {
    const out = path.join(home, "workspace", "tokenizers", type);
    const args = ["tokenizer", "train", "--type", type, "--vocab-size", "1200", "--input", corpus, "--out", out];
    const trained = spawnSync(process.execPath, ["scripts/assay.mjs", ...args], { encoding: "utf8" });
    expect(trained.status, trained.stderr).toBe(0);
  }
  const open = (type: string) =>
    openWindow(home, sourceRoute("tokenizers", path.join(home, "workspace", "tokenizers", type)));
  const region = { name: "Why a word splits where it does" };

  const wordPiece = await open("wordpiece");
  const longest = wordPiece.page.getByRole("region", region);
  await longest.getByRole("textbox").fill("cytotoxicity");
  await expect(longest).toContainText("from the left always the longest that fits");
  await expect(longest.getByRole("columnheader", { name: "left over" })).toBeVisible();
  await expectAccessible(wordPiece.page);
  await wordPiece.app.close();

  const unigram = await open("unigram");
  const likeliest = unigram.page.getByRole("region", region);
  await likeliest.getByRole("textbox").fill("hypertension");
  await expect(likeliest.getByRole("columnheader", { name: "log probability" })).toBeVisible();
  expect(await likeliest.getByRole("row").count()).toBeGreaterThan(2);
  await expectAccessible(unigram.page);
  await unigram.app.close();
});
