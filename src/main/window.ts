// The one window: its remembered place, its isolation, and the menu with the system's own roles.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { app, BrowserWindow, Menu, type MenuItemConstructorOptions, nativeTheme, screen, session } from "electron";
import { appOrigin } from "./app-protocol.ts";

type WindowState = {
  readonly width: number;
  readonly height: number;
  readonly x?: number;
  readonly y?: number;
  readonly isMaximized: boolean;
  /** What was open last, such as `/runs/<id>`. */
  readonly route: string;
};

const defaultState: WindowState = { width: 1440, height: 900, isMaximized: false, route: "/" };

function stateFile(): string {
  return path.join(app.getPath("userData"), "window.json");
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** The last place, if it still lies on a screen. */
function readState(): WindowState {
  try {
    const state: unknown = JSON.parse(readFileSync(stateFile(), "utf8"));
    if (typeof state !== "object" || state === null) {
      return defaultState;
    }
    const { width, height, x, y, isMaximized, route } = state as Record<string, unknown>;
    if (!isNumber(width) || !isNumber(height) || width < 480 || height < 360) {
      return defaultState;
    }
    const lastRoute = typeof route === "string" && route.startsWith("/") ? route : "/";
    const base = { width, height, isMaximized: isMaximized === true, route: lastRoute };
    if (!isNumber(x) || !isNumber(y)) {
      return base;
    }
    const isOnScreen = screen.getAllDisplays().some(({ workArea }) => {
      return (
        x + width > workArea.x + 80 &&
        x < workArea.x + workArea.width - 80 &&
        y >= workArea.y - 20 &&
        y < workArea.y + workArea.height - 80
      );
    });
    return isOnScreen ? { ...base, x, y } : base;
  } catch {
    return defaultState;
  }
}

function keepState(window: BrowserWindow): void {
  const route = new URL(window.webContents.getURL()).hash.slice(1);
  const state: WindowState = { ...window.getNormalBounds(), isMaximized: window.isMaximized(), route };
  try {
    writeFileSync(stateFile(), JSON.stringify(state));
  } catch {
    // A place that is not remembered is no reason to bother anyone.
  }
}

/** The window's own paper, so that nothing flashes before the page is drawn; as in ui/tokens.css. */
function paper(): string {
  return nativeTheme.shouldUseDarkColors ? "#14171a" : "#fbfaf7";
}

/** No page but ours, no second window, no permission: there is nothing in Assay that would need them. */
export function forbidEverythingElse(): void {
  app.on("web-contents-created", (_event, contents) => {
    contents.on("will-navigate", (event) => {
      if (!event.url.startsWith(`${appOrigin}/`)) {
        event.preventDefault();
      }
    });
    contents.on("will-attach-webview", (event) => event.preventDefault());
    contents.setWindowOpenHandler(() => ({ action: "deny" }));
  });
}

/** `route` null: what was open last. */
export function createWindow(options: { readonly preload: string; readonly route: string | null }): BrowserWindow {
  const state = readState();
  const window = new BrowserWindow({
    width: state.width,
    height: state.height,
    ...(state.x === undefined || state.y === undefined ? {} : { x: state.x, y: state.y }),
    minWidth: 480,
    minHeight: 400,
    show: false,
    title: "Assay",
    // On Linux and Windows Alt shows it; the header and the palette carry what the work needs.
    autoHideMenuBar: true,
    backgroundColor: paper(),
    webPreferences: {
      preload: options.preload,
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      webviewTag: false,
      spellcheck: false,
    },
  });
  session.defaultSession.setPermissionRequestHandler((_contents, permission, callback) =>
    callback(permission === "clipboard-sanitized-write"),
  );
  session.defaultSession.setPermissionCheckHandler(
    (_contents, permission) => permission === "clipboard-sanitized-write",
  );
  if (state.isMaximized) {
    window.maximize();
  }
  window.once("ready-to-show", () => window.show());
  // Kept as it changes too: a window that is killed never closes.
  let settling: NodeJS.Timeout | undefined;
  const keepSoon = (): void => {
    clearTimeout(settling);
    settling = setTimeout(() => window.isDestroyed() || keepState(window), 500);
  };
  window.on("resize", keepSoon);
  window.on("move", keepSoon);
  window.webContents.on("did-navigate-in-page", keepSoon);
  window.on("close", () => {
    clearTimeout(settling);
    keepState(window);
  });
  const followTheme = (): void => {
    window.setBackgroundColor(paper());
  };
  nativeTheme.on("updated", followTheme);
  window.on("closed", () => nativeTheme.off("updated", followTheme));
  window.webContents.on("render-process-gone", (_event, { reason }) => {
    // Nothing is kept in the page that its processes and files do not hold, so drawing it again loses nothing.
    if (reason !== "clean-exit" && !window.isDestroyed()) {
      window.webContents.reload();
    }
  });
  void window.loadURL(`${appOrigin}/index.html#${options.route ?? state.route}`);
  return window;
}

export function setMenu(): void {
  const isMac = process.platform === "darwin";
  const template: MenuItemConstructorOptions[] = [
    ...(isMac ? [{ role: "appMenu" } as const] : []),
    { label: "&File", submenu: [isMac ? { role: "close" } : { role: "quit" }] },
    { role: "editMenu" },
    {
      label: "&View",
      submenu: [
        { role: "resetZoom" },
        { role: "zoomIn" },
        { role: "zoomOut" },
        { type: "separator" },
        { role: "togglefullscreen" },
        { role: "reload" },
        { role: "toggleDevTools" },
      ],
    },
    { role: "windowMenu" },
  ];
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));
}
