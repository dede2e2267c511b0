// The window's settings, a small JSON file that is replaced atomically. What cannot be read counts as not set.
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { workspacePath } from "#core/paths";
import { type Settings, settingsSchema } from "#shared/ipc/app.contract";

export class SettingsStore {
  readonly #file: string;
  #settings: Settings;

  private constructor(file: string, settings: Settings) {
    this.#file = file;
    this.#settings = settings;
  }

  /** $ASSAY_HOME, where it is set, wins over the stored workspace. */
  static async open(userData: string): Promise<SettingsStore> {
    const file = path.join(userData, "settings.json");
    let stored: unknown = {};
    try {
      stored = JSON.parse(await readFile(file, "utf8"));
    } catch {
      // First start, or a file a crash left torn.
    }
    const parsed = settingsSchema.partial().safeParse(stored);
    const known = parsed.success ? parsed.data : {};
    const fromEnvironment = process.env["ASSAY_HOME"];
    return new SettingsStore(file, {
      theme: known.theme ?? "system",
      workspace: workspacePath(
        fromEnvironment === undefined || fromEnvironment === "" ? known.workspace : fromEnvironment,
      ),
    });
  }

  get current(): Settings {
    return this.#settings;
  }

  async change(part: {
    readonly theme?: Settings["theme"] | undefined;
    readonly workspace?: string | undefined;
  }): Promise<Settings> {
    this.#settings = {
      theme: part.theme ?? this.#settings.theme,
      workspace: part.workspace === undefined ? this.#settings.workspace : path.resolve(part.workspace),
    };
    const temporary = `${this.#file}.tmp-${process.pid}`;
    await writeFile(temporary, `${JSON.stringify(this.#settings, null, 2)}\n`);
    await rename(temporary, this.#file);
    return this.#settings;
  }
}
