import type { Page } from "@playwright/test";
import { expect, expectAccessible, type OpenWindow, openWindow, test } from "./feature-window.ts";

function engineHostPid({ app }: OpenWindow): Promise<number | undefined> {
  return app.evaluate(
    ({ app: electron }) => electron.getAppMetrics().find((metric) => metric.name === "Assay engine host")?.pid,
  );
}

async function writeOn(page: Page, prompt: string): Promise<void> {
  await page.getByRole("textbox", { name: "Prompt" }).fill(prompt);
  await page.getByRole("textbox", { name: "Prompt" }).press("Control+Enter");
}

const words = (page: Page) => page.getByRole("listbox", { name: "Continuation, word by word" }).getByRole("option");

test("a checkpoint continues a prompt in the same text, tinted by surprise, and says how fast", async ({
  trainedHome,
}) => {
  const { app, page } = await openWindow(trainedHome, "playground");
  await expect(page.getByText("checkpoint step 9 of tiny")).toBeVisible();
  await page.getByRole("textbox", { name: "new tokens" }).fill("24");
  await writeOn(page, "The patients");
  await expect(page.getByTestId("generation-figures")).toContainText(/tokens, .* ms\/token, .* tok\/s/);
  expect(await words(page).count()).toBeGreaterThan(5);
  await words(page).first().click();
  const details = page.getByRole("complementary", { name: "Details" });
  await expect(details).toContainText("surprise");
  await expect(details).toContainText("For research. Not medical advice.");

  // The same seed gives the same text, from the same checkpoint.
  const written = await page.locator(".flow-words").innerText();
  await page.getByRole("button", { name: "Clear" }).click();
  await expect(words(page)).toHaveCount(0);
  await writeOn(page, "The patients");
  await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
  expect(await page.locator(".flow-words").innerText()).toBe(written);
  await app.close();
});

test("the checkpoint slider goes through the steps of the run", async ({ trainedHome }) => {
  const { app, page } = await openWindow(trainedHome, "playground");
  const slider = page.getByRole("slider", { name: "Checkpoint" });
  await expect(slider).toHaveAttribute("aria-valuetext", "step 9");
  await slider.press("Home");
  await expect(slider).not.toHaveAttribute("aria-valuetext", "step 9");
  await writeOn(page, "The patients");
  await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
  await app.close();
});

test("stopping keeps what was written, and another one has the next seed", async ({ trainedHome }) => {
  const { app, page } = await openWindow(trainedHome, "playground");
  await expect(page.getByText("checkpoint step 9 of tiny")).toBeVisible();
  await page.getByRole("textbox", { name: "new tokens" }).fill("4096");
  await page.getByRole("checkbox", { name: "stop at end of text" }).uncheck();
  await writeOn(page, "The patients");
  await expect(words(page).nth(3)).toBeVisible();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByTestId("generation-figures")).toContainText("stopped");
  expect(await words(page).count()).toBeGreaterThan(3);

  await page.getByRole("textbox", { name: "new tokens" }).fill("8");
  await page.getByRole("button", { name: "Another" }).click();
  await expect(page.getByRole("textbox", { name: "seed" })).toHaveValue("18");
  await expect(page.getByTestId("generation-figures")).toContainText("8 tokens");
  await app.close();
});

test("a token shows its alternatives, and one of them takes its place", async ({ trainedHome }) => {
  const { app, page } = await openWindow(trainedHome, "playground");
  await expect(page.getByText("checkpoint step 9 of tiny")).toBeVisible();
  await page.getByRole("textbox", { name: "new tokens" }).fill("12");
  await page.getByRole("textbox", { name: "repetition penalty" }).fill("1.2");
  await writeOn(page, "The patients");
  await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
  await words(page).nth(2).click();
  const alternatives = page.getByRole("group", { name: /^In the place of/ });
  await expect(alternatives.getByRole("button")).toHaveCount(6);
  await expect(alternatives).toContainText("%");
  await expect(page.getByRole("complementary", { name: "Details" })).toContainText("log-probability");
  await expect(words(page).nth(2)).toHaveAttribute("title", /likeliest: /);

  const before = (await words(page).nth(0).innerText()) + (await words(page).nth(1).innerText());
  const chosen = alternatives.getByRole("button").nth(3);
  const text = (await chosen.locator(".alternative-text").innerText()).replaceAll("␣", " ").replaceAll("↵", "\n");
  await chosen.click();
  await expect(page.getByRole("textbox", { name: "Prompt" })).toHaveValue(`The patients${before}${text}`);
  await expect(page.getByRole("textbox", { name: "seed" })).toHaveValue("18");
  await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
  await app.close();
});

test("several samples are written side by side, the first as it would be alone, in any weights", async ({
  trainedHome,
}) => {
  const { app, page } = await openWindow(trainedHome, "playground");
  await expect(page.getByText("checkpoint step 9 of tiny")).toBeVisible();
  await page.getByRole("textbox", { name: "new tokens" }).fill("12");
  await page.getByRole("checkbox", { name: "stop at end of text" }).uncheck();
  await writeOn(page, "The patients");
  await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
  const alone = await page.locator(".flow-words").innerText();
  await page.getByRole("button", { name: "Clear" }).click();

  await page.getByRole("textbox", { name: "samples" }).fill("3");
  await writeOn(page, "The patients");
  await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
  const samples = page.getByRole("region", { name: "Samples" }).getByRole("button");
  await expect(samples).toHaveCount(3);
  expect(await page.locator(".flow-words").innerText()).toBe(alone);
  await samples.nth(1).click();
  await expect(samples.nth(1)).toHaveAttribute("aria-pressed", "true");
  expect(await page.locator(".flow-words").innerText()).not.toBe(alone);
  await expectAccessible(page);

  for (const weights of ["bf16", "int8"]) {
    await page.getByRole("combobox", { name: "weights" }).selectOption(weights);
    await page.getByRole("button", { name: "Clear" }).click();
    await writeOn(page, "The patients");
    await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
    await expect(page.getByRole("main").getByRole("alert")).toHaveCount(0);
  }
  await app.close();
});

test("when the engine host is killed the window stands, keeps the text, says so, and can try again", async ({
  trainedHome,
}) => {
  const opened = await openWindow(trainedHome, "playground");
  const { app, page } = opened;
  await expect(page.getByText("checkpoint step 9 of tiny")).toBeVisible();
  await page.getByRole("textbox", { name: "new tokens" }).fill("4096");
  await page.getByRole("checkbox", { name: "stop at end of text" }).uncheck();
  const pid = await engineHostPid(opened);
  expect(pid).toBeDefined();
  await writeOn(page, "The patients");
  await expect(words(page).nth(3)).toBeVisible();
  process.kill(pid ?? 0, "SIGKILL");
  const banner = page.getByRole("main").getByRole("alert");
  await expect(banner).toContainText("The text is kept.");
  await expect(page.getByRole("textbox", { name: "Prompt" })).toHaveValue("The patients");
  expect(await words(page).count()).toBeGreaterThan(3);

  await page.getByRole("textbox", { name: "new tokens" }).fill("8");
  await banner.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByTestId("generation-figures")).toContainText("8 tokens");
  await expect(banner).toHaveCount(0);
  await app.close();
});

test("without a model the view says what belongs here and leads on", async ({ home }) => {
  const { app, page } = await openWindow(home, "playground");
  await page.getByRole("button", { name: "Choose a recipe to train" }).click();
  await expect(page.getByRole("heading", { name: "Recipes" })).toBeVisible();
  await app.close();
});

test("the view is accessible in both themes", async ({ trainedHome }) => {
  for (const theme of ["light", "dark"] as const) {
    const { app, page } = await openWindow(trainedHome, "playground", { theme });
    await writeOn(page, "The patients");
    await expect(page.getByTestId("generation-figures")).toContainText("tok/s");
    await words(page).first().click();
    await expectAccessible(page);
    await app.close();
  }
});
