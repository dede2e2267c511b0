// Assay never needs --no-sandbox: here it runs as an ordinary user with Chromium's sandbox on, and trains nothing.
import { spawnSync } from "node:child_process";
import { chown, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "@playwright/test";
import { electronBinary, launchWindow, root } from "./electron.ts";

const isRoot = process.getuid?.() === 0;
const nobody = Number(spawnSync("id", ["-u", "nobody"], { encoding: "utf8" }).stdout.trim() || "65534");

test("an ordinary user opens the window with Chromium's sandbox on", async () => {
  const home = await mkdtemp(path.join(tmpdir(), "assay-e2e-sandbox-"));
  try {
    let executable = await electronBinary();
    let program = root;
    if (isRoot) {
      // The user may not read root's folders, so the program and Electron are copied to where everyone may.
      await cp(path.dirname(executable), path.join(home, "electron"), { recursive: true, verbatimSymlinks: true });
      program = path.join(home, "program");
      for (const part of [
        "package.json",
        "dist",
        "resources",
        "build/native/binding/assay.node",
        "native/CMakeLists.txt",
      ]) {
        await cp(path.join(root, part), path.join(program, part), { recursive: true });
      }
      executable = path.join(home, "electron", path.basename(executable));
    }
    for (const folder of ["user", "user/data", "user/workspace"]) {
      await mkdir(path.join(home, folder));
      if (isRoot) {
        await chown(path.join(home, folder), nobody, nobody);
      }
    }
    const asUser = path.join(home, "electron-as-user");
    const display = path.join(home, "user", ".Xauthority");
    if (isRoot) {
      const granted = process.env["XAUTHORITY"];
      if (granted !== undefined) {
        await cp(granted, display);
        await chown(display, nobody, nobody);
      }
      const line = `exec setpriv --reuid=${nobody} --regid=${nobody} --clear-groups "${executable}" "$@"`;
      await writeFile(asUser, `#!/bin/sh\n${line}\n`);
      spawnSync("chmod", ["-R", "a+rX", home]);
      spawnSync("chmod", ["a+x", asUser]);
    }
    const { app, page } = await launchWindow({
      program,
      workspace: path.join(home, "user/workspace"),
      userData: path.join(home, "user/data"),
      ...(isRoot
        ? {
            executable: asUser,
            env: { HOME: path.join(home, "user"), XDG_CONFIG_HOME: path.join(home, "user"), XAUTHORITY: display },
          }
        : { executable }),
    });
    await expect(page.getByRole("heading", { name: "A language model of your own field" })).toBeVisible();
    // The engine host answers, native addon and all.
    await expect(page.getByRole("contentinfo", { name: "Status" })).toContainText("threads");
    const facts = await app.evaluate(({ app: electron, BrowserWindow }) => ({
      user: process.getuid?.(),
      isUnsandboxed: electron.commandLine.hasSwitch("no-sandbox"),
      renderer: BrowserWindow.getAllWindows()[0]?.webContents.getOSProcessId() ?? 0,
    }));
    expect(facts.user).not.toBe(0);
    expect(facts.isUnsandboxed).toBe(false);
    const rendererStatus = await readFile(`/proc/${facts.renderer}/status`, "utf8");
    // 2: system calls are filtered; two pids: it lives in a process namespace of its own.
    expect(rendererStatus).toMatch(/^Seccomp:\s+2$/m);
    expect(rendererStatus).toMatch(/^NSpid:(\s+\d+){2,}$/m);
    await app.close();
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
