// The window's settings, a small JSON file that is replaced atomically. What cannot be read counts as not set.
import { constants } from "node:fs";
import { access, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { workspacePath } from "#core/paths";
import { AppError } from "#shared/errors";
import { type Settings, settingsSchema } from "#shared/ipc/app.contract";

type Change = { readonly [Key in keyof Settings]?: Settings[Key] | undefined };

export class SettingsStore {
  readonly #file: string;
  /** What the file holds: a workspace that only the environment names is never written. */
  #stored: Partial<Settings>;
  #settings: Settings;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(file: string, stored: Partial<Settings>, settings: Settings) {
    this.#file = file;
    this.#stored = stored;
    this.#settings = settings;
  }

  /** $ASSAY_HOME, where it is set, wins over the stored workspace. */
  static async open(userData: string): Promise<SettingsStore> {
    const file = path.join(userData, "settings.json");
    let value: unknown = {};
    try {
      value = JSON.parse(await readFile(file, "utf8"));
    } catch {
      // First start, or a file that a person broke.
    }
    const parsed = settingsSchema.partial().safeParse(value);
    const { theme, workspace, openedModels } = parsed.success ? parsed.data : {};
    const stored: Partial<Settings> = {
      ...(theme === undefined ? {} : { theme }),
      ...(workspace === undefined ? {} : { workspace }),
      ...(openedModels === undefined ? {} : { openedModels }),
    };
    const fromEnvironment = process.env["ASSAY_HOME"];
    return new SettingsStore(file, stored, {
      theme: theme ?? "system",
      workspace: workspacePath(fromEnvironment === undefined || fromEnvironment === "" ? workspace : fromEnvironment),
      openedModels: openedModels ?? [],
    });
  }

  get current(): Settings {
    return this.#settings;
  }

  /** Refuses a workspace that cannot be written to, and keeps the old one. */
  change(part: Change): Promise<Settings> {
    const changed = this.#writing.then(() => this.#change(part));
    this.#writing = changed.catch(() => undefined);
    return changed;
  }

  async #change({ theme, workspace, openedModels }: Change): Promise<Settings> {
    const chosen = {
      ...(theme === undefined ? {} : { theme }),
      ...(workspace === undefined ? {} : { workspace: await usableWorkspace(workspace) }),
      ...(openedModels === undefined ? {} : { openedModels }),
    };
    const stored = { ...this.#stored, ...chosen };
    const temporary = `${this.#file}.tmp-${process.pid}`;
    await mkdir(path.dirname(this.#file), { recursive: true });
    await writeFile(temporary, `${JSON.stringify(stored, null, 2)}\n`);
    await rename(temporary, this.#file);
    this.#stored = stored;
    this.#settings = { ...this.#settings, ...chosen };
    return this.#settings;
  }
}

async function usableWorkspace(asked: string): Promise<string> {
  if (!path.isAbsolute(asked)) {
    throw new AppError("BAD_ARGUMENT", `The workspace ${asked} is not a whole path; give one that starts at the root.`);
  }
  const folder = path.resolve(asked);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new AppError(
      "WORKSPACE_NOT_WRITABLE",
      `${folder} cannot be the workspace, because it cannot be written to; choose a folder of your own.`,
      { cause: error },
    );
  }
  return folder;
}
