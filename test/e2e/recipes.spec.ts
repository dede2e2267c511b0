import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Page } from "@playwright/test";
import { ask, expect, expectAccessible, openWindow, sourceRoute, test } from "./feature-window.ts";

const tiny = sourceRoute("recipes", "preset:biomedlm-tiny");

async function typeAtEnd(page: Page, text: string): Promise<void> {
  const editor = page.getByTestId("recipe-editor");
  await expect(editor.locator(".view-line").first()).toBeVisible();
  await editor.locator("textarea, .native-edit-context").first().focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(text);
}

async function newestRun(home: string): Promise<string> {
  const runs = path.join(home, "workspace", "runs");
  const [run] = (await readdir(runs)).filter((name) => name.includes("-tiny-"));
  return path.join(runs, run ?? "");
}

function firstLines(page: Page) {
  return page.getByTestId("recipe-editor").locator(".view-lines");
}

test("a wrong key is underlined, the right one is proposed, and Fix puts it in", async ({ home }) => {
  const { app, page } = await openWindow(home, tiny);
  await typeAtEnd(page, "gradient_cliping: 2.0\n");
  const problem = page.locator(".problem").filter({ hasText: "gradient_cliping" });
  await expect(problem).toContainText("gradient_clipping");
  await expect(page.locator(".squiggly-error")).toBeVisible();
  const train = page.getByRole("button", { name: /^Train biomedlm-tiny/ });
  await expect(train).toBeDisabled();
  await expect(page.getByText(/^Mend one problem on line \d+ before training\.$/)).toBeVisible();

  await page.getByRole("button", { name: "Fix: replace gradient_cliping by gradient_clipping" }).click();
  await expect(problem).toHaveCount(0);
  // The preset sets it already; what is left is that, and nothing about the spelling.
  await expect(page.locator(".problem")).toHaveText(/second time/);
  await page.keyboard.press("Control+z");
  await expect(problem).toBeVisible();
  await app.close();
});

test("keys are completed and explained from the recipe's own schema", async ({ home }) => {
  await mkdir(path.join(home, "workspace", "recipes"), { recursive: true });
  const file = path.join(home, "workspace", "recipes", "short.yaml");
  await writeFile(file, "run_name: short\n");
  const { app, page } = await openWindow(home, sourceRoute("recipes", file));
  await typeAtEnd(page, "gradient_cl");
  await page.keyboard.press("Control+Space");
  await expect(page.locator(".suggest-widget .monaco-list-row").filter({ hasText: "gradient_clipping" })).toBeVisible();
  await page.keyboard.press("Escape");
  await page
    .locator(".view-line span span")
    .filter({ hasText: /^run_name$/ })
    .hover();
  await expect(page.locator(".monaco-hover").filter({ hasText: /name/i }).first()).toBeVisible();
  await app.close();
});

test("what the engine learned is completed too, and the plan follows the precision and the adapters", async ({
  trainedCopy,
}) => {
  const checkpoint = path.join(await newestRun(trainedCopy), "checkpoints", "step-9");
  await mkdir(path.join(trainedCopy, "workspace", "recipes"), { recursive: true });
  const file = path.join(trainedCopy, "workspace", "recipes", "adapted.yaml");
  const corpus = path.resolve(import.meta.dirname, "../../resources/sample/abstracts.jsonl");
  await writeFile(
    file,
    `run_name: adapted
max_seq_len: 128
model: {name: gpt2, init_from: ${checkpoint}, lora: {rank: 4}}
data: {train: ${corpus}, eval: {fraction: 0.1}}
optimizer: {name: decoupled_adamw, lr: 1.0e-3}
scheduler: {name: cosine_with_warmup, t_warmup: 1ba}
max_duration: 4ba
global_train_batch_size: 4
precision: amp_bf16
`,
  );
  const { app, page } = await openWindow(trainedCopy, sourceRoute("recipes", file));
  const plan = page.getByRole("complementary", { name: "Details" });
  await expect(plan).toContainText("memory, amp_bf16");
  await plan.getByRole("button", { name: /^trained of them/ }).click();
  await expect(plan).toContainText("LoRA of rank 4 beside c_attn");
  await typeAtEnd(page, "activation_ch");
  await page.keyboard.press("Control+Space");
  await expect(
    page.locator(".suggest-widget .monaco-list-row").filter({ hasText: "activation_checkpointing" }),
  ).toBeVisible();
  await app.close();
});

test("unsaved text survives the death of the app, is restored with a notice, and can be discarded", async ({
  home,
}) => {
  const userData = path.join(home, "remembered");
  const first = await openWindow(home, tiny, { userData });
  await typeAtEnd(first.page, "# written just before the crash\n");
  await expect(first.page.getByText("not saved, kept as a draft")).toBeVisible();
  // The draft is written a moment after the last key.
  await expect
    .poll(() =>
      ask(first.page, "recipes.read", { source: "preset:biomedlm-tiny" }).then((answer) => JSON.stringify(answer)),
    )
    .toContain("written just before the crash");
  const gone = new Promise((resolve) => first.app.process().once("exit", resolve));
  process.kill(first.app.process().pid ?? 0, "SIGKILL");
  await gone;

  const second = await openWindow(home, tiny, { userData });
  await expect(second.page.getByText("Unsaved text of biomedlm-tiny was restored.")).toBeVisible();
  await typeAtEnd(second.page, "");
  await expect(firstLines(second.page)).toContainText("written just before the crash");
  await second.page.getByRole("button", { name: "Discard it" }).click();
  await expect(second.page.getByText("kept as a draft")).toHaveCount(0);
  await typeAtEnd(second.page, "");
  await expect(firstLines(second.page)).not.toContainText("written just before the crash");
  await second.app.close();
});

test("the plan opens its arithmetic, and a recipe saved under a name of its own marks what differs from the preset", async ({
  home,
}) => {
  const { app, page } = await openWindow(home, tiny);
  await page.getByRole("button", { name: /^parameters/ }).click();
  await expect(page.locator(".plan-how").first()).toContainText(/\d/);
  await expect(page.locator("#launch-note")).toContainText("memory");

  await page.getByRole("button", { name: "Save as…" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("mine");
  await page.getByRole("button", { name: "Save recipe" }).click();
  await expect(page.getByRole("heading", { name: "mine" })).toBeVisible();
  await typeAtEnd(page, "# mine\n");
  await expect(page.getByText("1 line differs from")).toBeVisible();
  await expect(page.locator(".recipe-change-added")).toBeVisible();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("kept as a draft")).toHaveCount(0);
  expect(await readFile(path.join(home, "workspace", "recipes", "mine.yaml"), "utf8")).toContain("# mine");
  await app.close();
});

test("a folder of articles becomes a recipe that can be trained", async ({ home }) => {
  const folder = path.join(home, "Mes Études");
  await mkdir(folder);
  await writeFile(path.join(folder, "one.txt"), "Background: a text of one's own. ".repeat(400));
  const { app, page } = await openWindow(home, `recipes/new/${encodeURIComponent(folder)}`);
  await expect(page.getByRole("heading", { name: "mes-etudes" })).toBeVisible();
  await expect(firstLines(page)).toContainText("Mes Études");
  await expect(page.getByRole("button", { name: /^Train mes-etudes/ })).toBeEnabled();
  await app.close();
});

test("the view is accessible in both themes, the list as well as a recipe", async ({ home }) => {
  for (const theme of ["light", "dark"] as const) {
    const { app, page } = await openWindow(home, "recipes", { theme });
    await expect(page.getByRole("link", { name: "biomedlm-tiny" })).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("link", { name: "biomedlm-tiny" }).click();
    await expect(page.getByRole("button", { name: /^parameters/ })).toBeVisible();
    await expect(page.getByTestId("recipe-editor").locator(".view-line").first()).toBeVisible();
    await expectAccessible(page);
    await app.close();
  }
});
