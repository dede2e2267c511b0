// Electron's main process: one instance, one window, and core's handlers put on IPC. Training never runs here: a run is
// a detached runner that outlives this process.
import path from "node:path";
import process from "node:process";
import { app, type BrowserWindow, nativeTheme } from "electron";
import { SettingsStore } from "#core/app/settings";
import { contract } from "#shared/ipc/index";
import { createAppHandlers } from "./app-handlers.ts";
import { declareAppProtocol, serveAppProtocol } from "./app-protocol.ts";
import { EngineHost, type Host, ThreadHost } from "./hosts.ts";
import { type AnyHandler, type MainHandlers, serveWindow } from "./ipc.ts";
import { createWindow, forbidEverythingElse, setMenu } from "./window.ts";

const dist = path.join(import.meta.dirname, "..");
let window: BrowserWindow | null = null;

/** `--run DIR` opens the window on that run. */
function routeFromArguments(words: readonly string[]): string | null {
  const at = words.indexOf("--run");
  const run = at < 0 ? undefined : words[at + 1];
  return run === undefined ? null : `/runs/${encodeURIComponent(path.basename(run))}`;
}

/** Each request and stream goes to the place that answers it. */
function route(
  own: Readonly<Record<string, AnyHandler>>,
  hosts: { readonly engine: Host; readonly runs: Host; readonly corpora: Host },
): MainHandlers {
  const { engine, runs, corpora } = hosts;
  const hostOf = (name: string): Host => {
    if (name.startsWith("runs.") || name === "models.list") {
      return runs;
    }
    // What counts tokens, or reads their caches, needs the engine.
    const isCorpora =
      name.startsWith("corpora.") && !["corpora.trace", "corpora.statistics", "corpora.shard"].includes(name);
    return isCorpora ? corpora : engine;
  };
  const requests = Object.fromEntries(
    Object.keys(contract.requests).map((name): [string, AnyHandler] => [
      name,
      own[name] ?? ((input, context) => hostOf(name).call(name, input, context)),
    ]),
  );
  const streams = Object.fromEntries(
    Object.keys(contract.streams).map((name): [string, AnyHandler] => [
      name,
      (input, context) => hostOf(name).call(name, input, context, context.emit),
    ]),
  );
  // as: both were made from the contract's own lists of names.
  return { requests: requests as MainHandlers["requests"], streams: streams as MainHandlers["streams"] };
}

async function start(): Promise<void> {
  const userData = app.getPath("userData");
  const settings = await SettingsStore.open(userData);
  nativeTheme.themeSource = settings.current.theme;
  const workspace = (): string => settings.current.workspace;
  const emit = (name: string, payload: unknown): void => served.emit(name, payload);
  const engine = new EngineHost({
    file: path.join(dist, "engine-host", "main.js"),
    workspace,
    userData,
    onEvent: emit,
  });
  const thread = (file: string, doing: string) =>
    new ThreadHost({ file: path.join(import.meta.dirname, file), doing, workspace, onEvent: emit });
  const runs = thread("runs-worker.js", "Reading runs");
  const corpora = thread("corpora-worker.js", "Work on a corpus");
  const own = createAppHandlers({ settings, engine, runs, corpora, window: () => window, emit });
  const served = serveWindow(() => window, route(own, { engine, runs, corpora }));
  serveAppProtocol(path.join(dist, "renderer"));
  setMenu();
  const open = (): void => {
    window = createWindow({
      preload: path.join(dist, "preload", "preload.cjs"),
      route: routeFromArguments(process.argv),
    });
    window.on("closed", () => {
      window = null;
    });
  };
  open();
  app.on("second-instance", (_event, words) => {
    if (window === null) {
      open();
      return;
    }
    if (window.isMinimized()) {
      window.restore();
    }
    window.focus();
    const asked = routeFromArguments(words);
    if (asked !== null) {
      void window.webContents.loadURL(`app://assay/index.html#${asked}`);
    }
  });
  app.on("activate", () => {
    if (window === null) {
      open();
    }
  });
  app.on("will-quit", () => {
    engine.close();
    runs.close();
    corpora.close();
  });
}

declareAppProtocol();
forbidEverythingElse();
if (app.requestSingleInstanceLock()) {
  app.on("window-all-closed", () => {
    if (process.platform !== "darwin") {
      app.quit();
    }
  });
  void app.whenReady().then(start);
} else {
  app.quit();
}
