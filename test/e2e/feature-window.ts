// Opens the built window in the real Electron on a workspace of its own, and trains the small run that the Tokenizers and
// Playground specs look at.
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { AxeBuilder } from "@axe-core/playwright";
import { _electron, test as base, type ElectronApplication, expect, type Page } from "@playwright/test";
import type { Bridge } from "#shared/ipc/bridge";

const root = path.resolve(import.meta.dirname, "..", "..");

export type OpenWindow = { readonly app: ElectronApplication; readonly page: Page };

type Resolve = (options: { readonly allowFallback: boolean }) => { readonly binary: string } | null;

export async function electronBinary(): Promise<string> {
  // as: a plain script, which carries no types; its own comment gives this one.
  const script = (await import(pathToFileURL(path.join(root, "scripts/electron-runtime.mjs")).href)) as {
    readonly resolveElectron: Resolve;
  };
  const found = script.resolveElectron({ allowFallback: true });
  if (found === null) {
    throw new Error("There is no Electron: run `npm run setup` first.");
  }
  return found.binary;
}

type OpenOptions = {
  readonly theme?: "light" | "dark";
  /** What the window remembers; its own each time unless given, so that no two windows are the same instance. */
  readonly userData?: string;
};

/** Opens at a route, such as "tokenizers/gpt2", on the workspace in `home`. */
export async function openWindow(home: string, route: string, options: OpenOptions = {}): Promise<OpenWindow> {
  const { theme = "light", userData = await mkdtemp(path.join(home, "user-data-")) } = options;
  const flags = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const app = await _electron.launch({
    executablePath: await electronBinary(),
    args: [...flags, "--disable-gpu", root, `--user-data-dir=${userData}`],
    env: { ...process.env, ASSAY_HOME: path.join(home, "workspace") },
  });
  const page = await app.firstWindow();
  await ask(page, "app.change-settings", { theme });
  await page.evaluate((hash) => {
    window.location.hash = `#/${hash}`;
  }, route);
  return { app, page };
}

/** A request from inside the window, as its own code makes them. */
export function ask(page: Page, name: string, input: object): Promise<unknown> {
  return page.evaluate(
    // as: the preload script puts the bridge there.
    async ([asked, value]) => (window as unknown as { readonly assay: Bridge }).assay.request(asked, value),
    [name, input] as const,
  );
}

export function sourceRoute(feature: string, source: string): string {
  return `${feature}/${encodeURIComponent(source)}`;
}

/** The whole window, frame included. */
export async function expectAccessible(page: Page): Promise<void> {
  // The handles between panels lie between landmarks on purpose: they belong to neither side.
  const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).disableRules(["region"]).analyze();
  expect(
    violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html).join(" ")}`),
  ).toEqual([]);
}

/** Slow enough to be stopped in the middle of 4096 tokens. */
const recipe = `
run_name: tiny
max_seq_len: 256
model: {name: gpt2, n_layers: 4, n_heads: 4, d_model: 256}
tokenizer: {train: {type: byte-bpe, vocab_size: 512, min_frequency: 2}}
data: {train: ${path.join(root, "resources/sample/abstracts.jsonl")}, eval: {fraction: 0.1}}
optimizer: {name: decoupled_adamw, lr: 3.0e-3}
scheduler: {name: cosine_with_warmup, t_warmup: 2ba, alpha_f: 0.1}
max_duration: 9ba
global_train_batch_size: 4
eval_interval: 9ba
save_interval: 3ba
`;

type Homes = { readonly home: string; readonly trainedCopy: string };

export const test = base.extend<Homes, { readonly trainedHome: string }>({
  home: async ({ browserName }, use) => {
    const home = await mkdtemp(path.join(tmpdir(), `assay-e2e-${browserName}-`));
    await use(home);
    await rm(home, { recursive: true, force: true });
  },
  /** The trained workspace again, for a test that adds to it. */
  trainedCopy: async ({ home, trainedHome }, use) => {
    await cp(path.join(trainedHome, "workspace"), path.join(home, "workspace"), { recursive: true });
    await use(home);
  },
  /** With one finished run of three checkpoints; shared by a worker's tests, which only read it. */
  trainedHome: [
    async ({ browserName }, use) => {
      const home = await mkdtemp(path.join(tmpdir(), `assay-e2e-trained-${browserName}-`));
      await mkdir(path.join(home, "workspace"));
      await writeFile(path.join(home, "tiny.yaml"), recipe);
      const trained = spawnSync(process.execPath, ["scripts/assay.mjs", "train", path.join(home, "tiny.yaml")], {
        cwd: root,
        env: { ...process.env, ASSAY_HOME: path.join(home, "workspace") },
        encoding: "utf8",
      });
      expect(trained.status, trained.stderr).toBe(0);
      await use(home);
      await rm(home, { recursive: true, force: true });
    },
    { scope: "worker", timeout: 180_000 },
  ],
});

export async function runTokenizer(home: string): Promise<string> {
  const runs = path.join(home, "workspace", "runs");
  const [run] = (await readdir(runs)).filter((name) => !name.startsWith("."));
  return path.join(runs, run ?? "", "tokenizer");
}

export { expect };
