// Starts the built window in whatever Electron there is, as a person would: the same arguments, a folder of its own for
// what it remembers, and the sandbox wherever Chromium allows it.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { _electron, type ElectronApplication, type Page } from "@playwright/test";

export const root = path.resolve(import.meta.dirname, "..", "..");

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

export type LaunchOptions = {
  readonly workspace: string;
  readonly userData: string;
  /** The folder with package.json and dist; by default this repository. */
  readonly program?: string;
  /** What is run in the place of Electron, with Electron's arguments, and as an ordinary user. */
  readonly executable?: string;
  readonly env?: Readonly<Record<string, string>>;
};

export async function launchWindow(options: LaunchOptions): Promise<{ app: ElectronApplication; page: Page }> {
  const { workspace, userData, program = root, executable, env = {} } = options;
  // Chromium refuses its sandbox to root alone.
  const isRoot = process.getuid?.() === 0 && executable === undefined;
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[0] !== "ELECTRON_RUN_AS_NODE",
  );
  const app = await _electron.launch({
    executablePath: executable ?? (await electronBinary()),
    args: ["--disable-gpu", program, `--user-data-dir=${userData}`],
    // Without it the driver itself passes --no-sandbox.
    chromiumSandbox: !isRoot,
    env: { ...Object.fromEntries(inherited), ASSAY_HOME: workspace, ...env },
  });
  return { app, page: await app.firstWindow() };
}
