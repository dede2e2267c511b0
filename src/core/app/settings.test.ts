import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SettingsStore } from "./settings.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-settings-"));
  vi.stubEnv("ASSAY_HOME", "");
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const stored = async (): Promise<unknown> => JSON.parse(await readFile(path.join(folder, "settings.json"), "utf8"));

describe("SettingsStore", () => {
  it("remembers what was chosen, also when two changes come at once", async () => {
    const settings = await SettingsStore.open(folder);
    const workspace = path.join(folder, "new", "workspace");
    await Promise.all([settings.change({ theme: "dark" }), settings.change({ workspace })]);
    expect((await SettingsStore.open(folder)).current).toEqual({
      theme: "dark",
      workspace,
      openedModels: [],
    });
  });

  it("never writes down a workspace that only the environment names", async () => {
    vi.stubEnv("ASSAY_HOME", path.join(folder, "from-environment"));
    const settings = await SettingsStore.open(folder);
    expect(settings.current.workspace).toBe(path.join(folder, "from-environment"));
    await settings.change({ theme: "light" });
    expect(await stored()).toEqual({ theme: "light" });
  });

  it("remembers the models that were opened", async () => {
    const settings = await SettingsStore.open(folder);
    await settings.change({ openedModels: ["/elsewhere/gpt2"] });
    await settings.change({ theme: "dark" });
    expect((await SettingsStore.open(folder)).current.openedModels).toEqual(["/elsewhere/gpt2"]);
  });

  it("starts anew from a file that is not JSON or holds something else", async () => {
    for (const text of ["{", '{"theme": "pink"}']) {
      await writeFile(path.join(folder, "settings.json"), text);
      expect((await SettingsStore.open(folder)).current.theme).toBe("system");
    }
  });

  it("refuses a workspace it cannot write to and keeps the old one", async () => {
    const settings = await SettingsStore.open(folder);
    const before = settings.current.workspace;
    const file = path.join(folder, "a-file");
    await writeFile(file, "");
    await chmod(file, 0o400);
    await expect(settings.change({ workspace: path.join(file, "below") })).rejects.toMatchObject({
      code: "WORKSPACE_NOT_WRITABLE",
    });
    await expect(settings.change({ workspace: "somewhere" })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
    expect(settings.current.workspace).toBe(before);
  });
});
