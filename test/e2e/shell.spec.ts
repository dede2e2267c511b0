import { readFile } from "node:fs/promises";
import path from "node:path";
import { ask, expect, expectAccessible, test } from "./feature-window.ts";
import { openAssay } from "./run-window.ts";

const paper = (page: import("@playwright/test").Page) =>
  page.evaluate(() => getComputedStyle(document.body).backgroundColor);

test("the palette finds every view and every run, and back and forward work", async ({ trainedHome }) => {
  const { app, page } = await openAssay(trainedHome, "home");
  await expect(page.getByRole("link", { name: "tiny", exact: true })).toBeVisible();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("tiny, completed");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "tiny", level: 1 })).toBeVisible();
  await page.keyboard.press("Control+Shift+P");
  await page.keyboard.type("go to settings");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
  await page.keyboard.press("Alt+ArrowLeft");
  await expect(page.getByRole("heading", { name: "tiny", level: 1 })).toBeVisible();
  await expect(page).toHaveTitle("tiny – Runs – Assay");
  await page.getByRole("button", { name: "Forward" }).click();
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
  await page.keyboard.press("Control+/");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await app.close();
});

test("a theme holds at once, for the system's own parts too, and is remembered", async ({ home }) => {
  const first = await openAssay(home, "settings");
  await expect(first.page.getByRole("radio", { name: "Light" })).toBeChecked();
  const light = await paper(first.page);
  await first.page.getByText("Dark", { exact: true }).click();
  await expect.poll(() => paper(first.page)).not.toBe(light);
  expect(await first.app.evaluate(({ nativeTheme }) => nativeTheme.themeSource)).toBe("dark");
  await first.app.close();
  // as: written by the app itself.
  const stored = JSON.parse(await readFile(path.join(home, "user-data", "settings.json"), "utf8")) as object;
  expect(stored).toEqual({ theme: "dark" });
});

test("another workspace is chosen, and what is in it is shown", async ({ home, trainedHome }) => {
  const { app, page } = await openAssay(home, "settings");
  await app.evaluate(
    ({ dialog }, folder) => {
      dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [folder] });
    },
    path.join(trainedHome, "workspace"),
  );
  await page.getByRole("button", { name: "Choose another…" }).click();
  await expect(page.getByTestId("workspace")).toHaveText(path.join(trainedHome, "workspace"));
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await expect(page.getByRole("link", { name: "tiny" })).toBeVisible();
  await app.close();
});

test("the window comes back where it was, at the size it had", async ({ home }) => {
  const first = await openAssay(home, "settings");
  await first.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setSize(1011, 717));
  await first.app.close();
  const second = await openAssay(home, null);
  await expect(second.page.getByRole("heading", { name: "Settings" })).toBeVisible();
  const size = await second.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.getSize());
  expect(size).toEqual([1011, 717]);
  await second.app.close();
});

test("at 900 px the details fold away and at 640 px the sidebar is icons whose words come with focus", async ({
  trainedHome,
}) => {
  const { app, page } = await openAssay(trainedHome, "runs");
  await page.getByRole("link", { name: "tiny" }).click();
  const details = page.getByRole("complementary", { name: "Details" });
  await expect(details).toBeVisible();
  const resize = (width: number) =>
    app.evaluate(({ BrowserWindow }, to) => BrowserWindow.getAllWindows()[0]?.setContentSize(to, 760), width);
  await resize(880);
  await expect(details).toHaveCount(0);
  await page.getByRole("button", { name: "Show details" }).click();
  await expect(details).toContainText("Checkpoints");
  await expectAccessible(page);
  await page.getByRole("button", { name: "Hide details" }).click();
  await resize(640);
  const runs = page.getByRole("link", { name: "Runs" }).first();
  expect((await page.getByRole("navigation", { name: "Objects" }).boundingBox())?.width).toBeLessThan(60);
  await expect(runs).toBeVisible();
  await expectAccessible(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
  await app.close();
});

test("nothing but the app's own pages, code and processes gets in", async ({ home }) => {
  const { app, page } = await openAssay(home, "home");
  const attempts = await page.evaluate(async () => ({
    opened: window.open("https://example.org") !== null,
    inlined: (() => {
      const script = document.createElement("script");
      script.textContent = "document.title = 'injected'";
      document.head.append(script);
      return document.title;
    })(),
    fetched: await fetch("https://example.org").then(
      () => "answered",
      () => "refused",
    ),
    outside: (await fetch("app://assay/..%2f..%2fpackage.json").catch(() => null))?.status ?? "refused",
    notifications: await Notification.requestPermission(),
    node: typeof (window as unknown as Record<string, unknown>)["require"],
    bridge: Object.keys((window as unknown as { assay: object }).assay).toSorted(),
  }));
  expect(attempts).toEqual({
    opened: false,
    inlined: "Home – Assay",
    fetched: "refused",
    outside: 404,
    notifications: "denied",
    node: "undefined",
    bridge: ["cancelStream", "onEvent", "onItem", "pathOfFile", "platform", "request", "stream"],
  });
  expect(await ask(page, "no.such-request", {})).toMatchObject({ ok: false, error: { code: "BAD_ARGUMENT" } });
  expect(await ask(page, "runs.show", { run: 5 })).toMatchObject({ ok: false, error: { code: "BAD_ARGUMENT" } });
  expect(await ask(page, "app.reveal", { path: "/etc/passwd" })).toMatchObject({
    ok: false,
    error: { code: "BAD_ARGUMENT" },
  });
  // Last, for the page's driver waits for a navigation that never comes.
  const address = await app.evaluate(async ({ BrowserWindow }) => {
    const contents = BrowserWindow.getAllWindows()[0]?.webContents;
    const refused = new Promise((resolve) => contents?.once("will-navigate", () => setTimeout(resolve, 200)));
    void contents?.executeJavaScript("location.assign('https://example.org/')").catch(() => undefined);
    await refused;
    return contents?.getURL();
  });
  expect(address).toMatch(/^app:\/\/assay\//);
  await app.close();
});

test("when the engine host dies the window says so, stands, and the next request gets a new one", async ({ home }) => {
  const { app, page } = await openAssay(home, "home");
  const pid = () =>
    app.evaluate(
      ({ app: electron }) => electron.getAppMetrics().find((each) => each.name === "Assay engine host")?.pid,
    );
  await expect.poll(pid).toBeDefined();
  const first = (await pid()) ?? 0;
  process.kill(first, "SIGKILL");
  await expect(page.getByTestId("engine-lost")).toContainText("The engine host ended unexpectedly");
  expect(await ask(page, "tokenizers.inspect", { tokenizer: "gpt2", text: "still here" })).toMatchObject({ ok: true });
  expect(await pid()).not.toBe(first);
  await page.getByTestId("engine-lost").getByRole("button", { name: "Close" }).click();
  await expect(page.getByTestId("engine-lost")).toHaveCount(0);
  await app.close();
});

test("a second start opens no second window: it brings the first one to the run it was given", async ({
  trainedHome,
}) => {
  const { app, page } = await openAssay(trainedHome, "home");
  const run = await page.evaluate(async () => {
    const { assay } = window as unknown as { assay: import("#shared/ipc/bridge").Bridge };
    const answer = (await assay.request("runs.list", {})) as { value?: { id: string; directory: string }[] };
    return answer.value?.[0]?.directory ?? "";
  });
  await app.evaluate(({ app: electron }, directory) => {
    electron.emit("second-instance", {}, ["electron", "--run", directory], "");
  }, run);
  await expect(page.getByRole("heading", { name: "tiny", level: 1 })).toBeVisible();
  expect(await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().length)).toBe(1);
  await app.close();
});
