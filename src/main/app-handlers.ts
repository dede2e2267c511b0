// What only main can answer: settings, dialogs, the file manager, the status line.
import { realpath, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { app, type BrowserWindow, dialog, nativeTheme, shell } from "electron";
import type { SettingsStore } from "#core/app/settings";
import { aliveStatuses, type RunSummary } from "#shared/domain/run";
import { AppError } from "#shared/errors";
import type { appContract } from "#shared/ipc/app.contract";
import type { RequestHandlers } from "#shared/ipc/contract";
import type { EngineHost, ThreadHost } from "./hosts.ts";

export function createAppHandlers(options: {
  readonly settings: SettingsStore;
  readonly engine: EngineHost;
  readonly runs: ThreadHost;
  readonly corpora: ThreadHost;
  readonly window: () => BrowserWindow | null;
  readonly emit: (name: string, payload: unknown) => void;
}): RequestHandlers<typeof appContract> {
  const { settings, engine, runs, corpora, emit } = options;
  /** Dialogs belong to the window where there is one. */
  const open = async (dialogOptions: Electron.OpenDialogOptions): Promise<readonly string[]> => {
    const window = options.window();
    const result =
      window === null ? await dialog.showOpenDialog(dialogOptions) : await dialog.showOpenDialog(window, dialogOptions);
    return result.canceled ? [] : result.filePaths;
  };
  return {
    "app.info": async (_input, context) => ({
      version: app.getVersion(),
      platform: process.platform,
      // as: host.machine answers what machineSchema says.
      machine: (await engine.call("host.machine", {}, context)) as never,
    }),

    "app.settings": async () => settings.current,

    "app.change-settings": async (part) => {
      const changed = await settings.change(part);
      nativeTheme.themeSource = changed.theme;
      engine.useWorkspace(changed.workspace);
      runs.useWorkspace(changed.workspace);
      corpora.useWorkspace(changed.workspace);
      emit("app.settings-changed", changed);
      return changed;
    },

    "app.choose-folder": async ({ title }) => {
      const [chosen] = await open({ title, properties: ["openDirectory", "createDirectory"] });
      return { path: chosen ?? null };
    },

    "app.choose-files": async ({ title, extensions }) => {
      const filters =
        extensions.length === 0 ? [] : [{ name: extensions.map((each) => `.${each}`).join(", "), extensions }];
      return { paths: [...(await open({ title, properties: ["openFile", "multiSelections"], filters }))] };
    },

    "app.reveal": async ({ path: asked }) => {
      const file = await realpath(asked).catch(() => null);
      const workspace = await realpath(settings.current.workspace).catch(() => settings.current.workspace);
      if (file === null) {
        throw new AppError("FILE_NOT_FOUND", `${asked} is not there any more.`);
      }
      if (file !== workspace && !file.startsWith(`${workspace}${path.sep}`)) {
        throw new AppError("BAD_ARGUMENT", `${asked} lies outside the workspace, so it is not opened.`);
      }
      if ((await stat(file)).isDirectory()) {
        const problem = await shell.openPath(file);
        if (problem !== "") {
          throw new AppError("FILE_NOT_READABLE", `${file} could not be opened: ${problem}.`);
        }
      } else {
        shell.showItemInFolder(file);
      }
      return {};
    },

    "app.status": async (_input, context) => {
      // as: runs.list answers what its contract says.
      const summaries = (await runs.call("runs.list", {}, context)) as readonly RunSummary[];
      let folder = settings.current.workspace;
      let disk = await statfs(folder).catch(() => null);
      while (disk === null && path.dirname(folder) !== folder) {
        folder = path.dirname(folder);
        disk = await statfs(folder).catch(() => null);
      }
      return {
        freeBytes: disk === null ? 0 : disk.bavail * disk.bsize,
        running: summaries.filter((run) => aliveStatuses.has(run.status)).length,
        queued: summaries.filter((run) => run.status === "queued").length,
      };
    },
  };
}
