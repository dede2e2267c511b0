// The window as an ordinary user meets it: Chromium's sandbox on. As root, who gets none, the test becomes `nobody`.
import { spawn, spawnSync } from "node:child_process";
import { chmod, cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "@playwright/test";
import { electronBinary, expect, test } from "./feature-window.ts";

const root = path.resolve(import.meta.dirname, "..", "..");

/** Command lines of all processes below `pid`. */
async function commandLines(pid: number): Promise<readonly string[]> {
  const listed = spawnSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" }).stdout;
  const children = new Map<number, number[]>();
  for (const line of listed.trim().split("\n")) {
    const [child = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const all = [pid];
  for (const each of all) {
    all.push(...(children.get(each) ?? []));
  }
  return Promise.all(
    all.map((each) =>
      readFile(`/proc/${each}/cmdline`, "utf8").then(
        (text) => text.replaceAll("\0", " "),
        () => "",
      ),
    ),
  );
}

test("the window opens for a user who is not root, with Chromium's sandbox on", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "assay-sandbox-"));
  const isRoot = process.getuid?.() === 0;
  try {
    // What root built may lie where nobody else can read.
    const electron = path.join(folder, "electron");
    await cp(path.dirname(await electronBinary()), electron, { recursive: true });
    for (const part of ["dist", "resources", "package.json"]) {
      await cp(path.join(root, part), path.join(folder, "app", part), { recursive: true });
    }
    await cp(
      path.join(root, "build/native/binding/assay.node"),
      path.join(folder, "app/build/native/binding/assay.node"),
    );
    await cp(path.join(root, "node_modules/tiktoken"), path.join(folder, "app/node_modules/tiktoken"), {
      recursive: true,
    });
    await chmod(folder, 0o755);
    spawnSync("chmod", ["-R", "a+rX", folder]);
    const home = path.join(folder, "home");
    spawnSync("mkdir", ["-m", "777", home]);
    const words = [
      path.join(electron, "electron"),
      "--disable-gpu",
      "--remote-debugging-port=0",
      path.join(folder, "app"),
      `--user-data-dir=${path.join(home, "data")}`,
    ];
    const [command = "", ...args] = isRoot
      ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...words]
      : words;
    const child = spawn(command, args, {
      env: {
        ...process.env,
        HOME: home,
        ASSAY_HOME: path.join(home, "workspace"),
        XDG_RUNTIME_DIR: home,
        XAUTHORITY: await readableAuthority(home),
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    try {
      let said = "";
      const address = await new Promise<string>((resolve, reject) => {
        child.stderr.on("data", (chunk) => {
          said += String(chunk);
          const found = /DevTools listening on (ws:\S+)/.exec(said);
          if (found?.[1] !== undefined) {
            resolve(found[1]);
          }
        });
        child.once("exit", () => reject(new Error(`Electron ended: ${said}`)));
      });
      const browser = await chromium.connectOverCDP(address);
      const [context] = browser.contexts();
      const page = context?.pages()[0] ?? (await context?.waitForEvent("page"));
      if (page === undefined) {
        throw new Error("The window has no page.");
      }
      await expect(page.getByRole("navigation", { name: "Objects" })).toBeVisible();
      const lines = await commandLines(child.pid ?? 0);
      expect(lines.some((line) => line.includes("--type=renderer"))).toBe(true);
      expect(lines.filter((line) => line.includes("--no-sandbox"))).toEqual([]);
      await browser.close();
    } finally {
      child.kill("SIGKILL");
      if (isRoot) {
        spawnSync("pkill", ["-KILL", "-f", folder]);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});

/** xvfb-run's cookie belongs to who called it; the other user gets a copy. */
async function readableAuthority(home: string): Promise<string> {
  const own = process.env["XAUTHORITY"];
  if (own === undefined) {
    return "";
  }
  const copy = path.join(home, "authority");
  await cp(own, copy);
  await chmod(copy, 0o644);
  return copy;
}
