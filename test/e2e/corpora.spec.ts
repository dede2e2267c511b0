// The Corpora view: importing with a look at the first documents, what is known of a corpus, cleaning it, what of an
// evaluation set stands in it, an import that was left unfinished, and tracing a step of training.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import type { ElectronApplication, Page } from "@playwright/test";
import { expect, expectAccessible, openWindow, sourceRoute, test } from "./feature-window.ts";

/** The system's own dialog cannot be driven; what it would answer can. */
async function answerDialog(app: ElectronApplication, file: string): Promise<void> {
  await app.evaluate(({ dialog }, chosen) => {
    dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [chosen] });
  }, file);
}

const shared = "The heart rate of patients rose by a third within the first week and fell again in the second one.";
const topics = ["kidney", "liver", "lung", "skin", "brain"] as const;

/** Documents of three years, two of them near duplicates, one without text, one that holds the shared sentence. */
function records(): object[] {
  const plain = topics.map((topic, at) => ({
    id: `d${at}`,
    body: `${topic} ${Array.from({ length: 40 }, (_, word) => `${topic}${word % 7 === 0 ? "" : String.fromCharCode(97 + ((word * (at + 3)) % 26)).repeat(3)}`).join(" ")}`,
    year: 2000 + (at % 3),
    journal: at < 3 ? "Annals of Testing" : "Testing Letters",
  }));
  const long = `Alpha ${topics.map((topic) => `we studied the ${topic} of forty volunteers over a year and noted ${topic} function`).join(", then ")}.`;
  return [
    ...plain,
    { id: "near-1", body: `${long} It was done in Bern.`, year: 2001 },
    { id: "near-2", body: long, year: 2001 },
    { id: "holds", body: `Before it something else was said of the matter. ${shared} So it ended there.`, year: 2002 },
    { id: "empty", body: " " },
  ];
}

async function writeJsonl(file: string, lines: readonly object[]): Promise<string> {
  await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return file;
}

async function importRecords(app: ElectronApplication, page: Page, home: string): Promise<void> {
  await answerDialog(app, await writeJsonl(path.join(home, "Case Notes.jsonl"), records()));
  await page.getByRole("button", { name: "Add files…" }).click();
  await page.getByRole("textbox", { name: "Text fields" }).fill("body");
  await expect(page.getByRole("region", { name: "First documents" })).toContainText("kidney");
  await page.getByRole("button", { name: /^Import corpus/ }).click();
  await expect(page.getByRole("heading", { name: "case-notes", level: 1 })).toBeVisible();
}

test("files are looked at, imported, and open as a corpus with a ledger and statistics", async ({ home }) => {
  const { app, page } = await openWindow(home, "corpora");
  await page.getByRole("button", { name: "Import a corpus…" }).click();
  await expect(page.getByRole("button", { name: /^Import corpus/ })).toBeDisabled();
  await answerDialog(app, await writeJsonl(path.join(home, "Case Notes.jsonl"), records()));
  await page.getByRole("button", { name: "Add files…" }).click();
  const preview = page.getByRole("region", { name: "First documents" });
  // There is no field "text": the reason stands where the documents would.
  await expect(preview.getByRole("alert")).toContainText("text");
  await expect(page.getByRole("textbox", { name: "Name" })).toHaveValue("case-notes");
  await page.getByRole("textbox", { name: "Text fields" }).fill("body");
  await expect(preview.getByRole("listitem")).toHaveCount(8);
  await expect(preview.getByRole("listitem").first()).toContainText("Annals of Testing");
  await page.keyboard.press("Control+Enter");

  await expect(page.getByRole("heading", { name: "case-notes", level: 1 })).toBeVisible();
  await expect(page.getByText(/^8 documents, /)).toBeVisible();
  await page.getByRole("tab", { name: "Ledger" }).click();
  await page.getByRole("button", { name: /no-text/ }).click();
  await expect(page.getByRole("table", { name: "Entries of no-text" }).getByRole("row")).toHaveCount(2);
  await page.getByRole("tab", { name: "Statistics" }).click();
  const years = page.getByRole("region", { name: "Year" });
  await expect(years.getByRole("row", { name: /^2001 4/ })).toBeVisible();
  await page.getByRole("combobox", { name: "tokens by" }).selectOption("gpt2");
  await page.getByText("tokens", { exact: true }).click();
  await expect(page.getByText(/^tokens, \d\.\d\d a word$/)).toBeVisible();

  // The same name again is refused before anything starts.
  await page.getByRole("link", { name: "Corpora" }).first().click();
  await expect(page.getByRole("row", { name: /case-notes 8/ })).toBeVisible();
  await page.getByRole("button", { name: "Import corpus…" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("case-notes");
  await expect(page.getByText("There is a corpus case-notes already.")).toBeVisible();
  await app.close();
});

test("a corpus is cleaned into a new one, and its near duplicates can be looked through", async ({ home }) => {
  const { app, page } = await openWindow(home, "corpora/import");
  await importRecords(app, page, home);
  await page.getByRole("button", { name: "Clean corpus…" }).click();
  await expect(page.getByRole("textbox", { name: "Name of the new corpus" })).toHaveValue("case-notes-clean");
  await page.getByRole("textbox", { name: "Similarity from" }).fill("2");
  await expect(page.getByRole("button", { name: /^Clean corpus/ })).toBeDisabled();
  await page.getByRole("textbox", { name: "Similarity from" }).fill("0.7");
  await page.getByRole("checkbox", { name: "Quality" }).uncheck();
  await expect(page.getByRole("textbox", { name: "Symbols at most" })).toHaveCount(0);
  await page.getByRole("button", { name: /^Clean corpus/ }).click();
  await expect(page.getByRole("heading", { name: "case-notes-clean", level: 1 })).toBeVisible();
  await expect(page.getByRole("button", { name: /near-duplicate .* dropped 1$/ })).toBeVisible();
  await page.getByRole("tab", { name: "Near duplicates" }).click();
  const group = page.getByRole("listitem").filter({ hasText: "kept" });
  await expect(group).toContainText("near-1");
  await expect(group.getByRole("listitem")).toContainText(/dropped\s*near-2\s*0\.\d{3}/);
  await expectAccessible(page);
  await app.close();
});

test("what of an evaluation set stands in a corpus is found and marked", async ({ home }) => {
  const { app, page } = await openWindow(home, "corpora/import");
  await importRecords(app, page, home);
  await page.getByRole("link", { name: "Scan evaluation sets…" }).click();
  await expect(page.getByRole("button", { name: /^Scan corpus/ })).toBeDisabled();
  const items = [
    { id: "leaked", question: `Is it true? ${shared} Answer by yes or no.` },
    { id: "own", question: "Nothing like this one is written anywhere among the documents, however long one looks." },
  ];
  await answerDialog(app, await writeJsonl(path.join(home, "questions.jsonl"), items));
  await page.getByRole("button", { name: "Add files…" }).click();
  await page.getByRole("textbox", { name: "Text fields of an item" }).fill("question");
  await page.getByRole("button", { name: /^Scan corpus/ }).click();
  const report = page.getByRole("region", { name: /^Overlap/ });
  const found = report.getByRole("list", { name: "Items that overlap" }).getByRole("listitem");
  await expect(found).toHaveCount(1);
  await expect(found).toContainText("leaked");
  await expect(found.locator("mark")).toHaveText([shared.slice(0, -1), shared.slice(0, -1)]);
  await expect(found).toContainText("Is it true?");
  await expectAccessible(page);

  // What was found is still there after looking at something else.
  await page.getByRole("link", { name: "Runs" }).click();
  await page.goBack();
  await expect(found).toContainText("leaked");

  await page.getByRole("link", { name: "case-notes" }).click();
  await page.getByRole("link", { name: "Split…" }).click();
  await page.getByRole("textbox", { name: "Held out, per cent" }).fill("50");
  await page.getByRole("button", { name: /^Split corpus/ }).click();
  await expect(page.getByRole("link", { name: "case-notes-held-out" })).toBeVisible();
  await app.close();
});

test("a corpus is written as shards, which come in again from the address of a server", async ({ home }) => {
  const { app, page } = await openWindow(home, "corpora/import");
  await importRecords(app, page, home);
  await page.getByRole("link", { name: "Write shards…" }).click();
  await expect(page.getByRole("textbox", { name: "Folder" })).toHaveValue("case-notes-shards");
  await page.getByRole("textbox", { name: "Size of a shard, MiB" }).fill("0");
  await expect(page.getByRole("button", { name: /^Write shards/ })).toBeDisabled();
  await page.getByRole("textbox", { name: "Size of a shard, MiB" }).fill("0.001");
  await page.getByText("gzip", { exact: true }).click();
  await expectAccessible(page);
  await page.getByRole("button", { name: /^Write shards/ }).click();
  const written = page.getByRole("region", { name: "The shards" });
  await expect(written).toContainText(/^Written8 documents \(.+ of text\) in \d shards, together /);
  // The same folder again is refused with the reason.
  await page.getByRole("button", { name: /^Write shards/ }).click();
  await expect(page.getByRole("alert")).toContainText("holds an index.json already");

  const folder = path.join(home, "workspace", "corpora", "case-notes-shards");
  const server = createServer((request, response) => {
    const name = path.basename(request.url ?? "");
    readFile(path.join(folder, name)).then(
      (bytes) => response.writeHead(200, { "content-length": bytes.length }).end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await page.getByRole("link", { name: "Corpora" }).first().click();
  await page.getByRole("button", { name: "Import corpus…" }).click();
  await page.getByRole("textbox", { name: "Address" }).fill("case-notes");
  await page.getByRole("button", { name: "Add address" }).click();
  await expect(page.getByText("An address begins with https://, http:// or s3://.")).toBeVisible();
  await page.getByRole("textbox", { name: "Address" }).fill(`http://127.0.0.1:${port}/again/`);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("textbox", { name: "Name" })).toHaveValue("again");
  await expect(page.getByRole("region", { name: "First documents" }).getByRole("listitem")).toHaveCount(8);
  await expectAccessible(page);
  await page.getByRole("button", { name: /^Import corpus/ }).click();
  await expect(page.getByRole("heading", { name: "again", level: 1 })).toBeVisible();
  await expect(page.getByText(/^8 documents, /)).toBeVisible();
  server.close();
  server.closeAllConnections();
  await app.close();
});

test("an import that was cancelled goes on, also after the window was closed", async ({ home }) => {
  const files = path.join(home, "many");
  await mkdir(files);
  const text = "A sentence that is there only to be read, and to take some time. ".repeat(40);
  const lines = Array.from({ length: 6000 }, (_, at) => ({ id: `n${at}`, text: `${at} ${text}` }));
  await writeJsonl(path.join(files, "a.jsonl"), lines);
  await writeJsonl(
    path.join(files, "b.jsonl"),
    lines.map(({ text: own }, at) => ({ id: `m${at}`, text: own })),
  );
  const first = await openWindow(home, "corpora/import");
  await answerDialog(first.app, files);
  await first.page.getByRole("button", { name: "Add folder…" }).click();
  await expect(first.page.getByRole("region", { name: "First documents" }).getByRole("listitem")).toHaveCount(20);
  // Cancelled as soon as it can be.
  await first.page.evaluate(() => {
    new MutationObserver((_, observer) => {
      const cancel = document.querySelector<HTMLElement>('[aria-label="Cancel the import of many"]');
      if (cancel !== null && (document.querySelector(".form-progress")?.textContent ?? "").includes("documents")) {
        observer.disconnect();
        cancel.click();
      }
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  await first.page.getByRole("button", { name: /^Import corpus/ }).click();
  await expect(first.page.getByText("the same import goes on where it stopped")).toBeVisible();
  await first.app.close();

  const { app, page } = await openWindow(home, "corpora");
  await expect(page.getByText("import not finished")).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Go on with the import of many" }).click();
  await expect(page.getByRole("row", { name: /^many 12\s000/ })).toBeVisible({ timeout: 60_000 });
  await app.close();
});

test("a sequence of a step is traced back to its documents", async ({ trainedHome }) => {
  const { app, page } = await openWindow(trainedHome, "corpora/trace");
  const title = page.getByRole("heading", { level: 2 });
  // 256 are read, and what follows each of them is predicted.
  await expect(title).toContainText("in 257 tokens");
  const rows = page.getByRole("table").getByRole("row");
  const before = await rows.nth(1).textContent();
  await page.getByRole("textbox", { name: "Step" }).fill("3");
  await page.keyboard.press("Enter");
  await expect(rows.nth(1)).not.toHaveText(before ?? "");
  await page.getByRole("textbox", { name: "Sequence" }).fill("4000");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toBeVisible();
  await app.close();
});

test("the view is accessible in both themes", async ({ home }) => {
  for (const theme of ["light", "dark"] as const) {
    const { app, page } = await openWindow(home, "corpora/import", { theme });
    if (theme === "light") {
      await importRecords(app, page, home);
    }
    await page.goto(
      page.url().replace(/#.*/u, `#/${sourceRoute("corpora", path.join(home, "workspace/corpora/case-notes.jsonl"))}`),
    );
    await page.getByRole("button", { name: "More of d0" }).click();
    await expectAccessible(page);
    for (const [tab, shown] of [
      ["Ledger", "no-text"],
      ["Statistics", "Annals of Testing"],
    ] as const) {
      await page.getByRole("tab", { name: tab }).click();
      await expect(page.getByText(shown).first()).toBeVisible();
      await expectAccessible(page);
    }
    await page.getByRole("button", { name: "Clean corpus…" }).click();
    await expect(page.getByRole("checkbox", { name: "Boilerplate" })).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("link", { name: "Corpora" }).first().click();
    await expect(page.getByRole("row", { name: /case-notes/ })).toBeVisible();
    await expectAccessible(page);
    await app.close();
  }
});
