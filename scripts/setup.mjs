#!/usr/bin/env node
// Brings a fresh clone to where the named command can run: system packages, npm packages, the native build, the bundles.
// What is already there is left alone, so a second call takes a second or two.
// usage: node scripts/setup.mjs --for quickstart | start | test
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const purpose = process.argv[process.argv.indexOf("--for") + 1] ?? "quickstart";
const isTest = purpose === "test";

/** @typedef {{ name: string, why: string, required: boolean }} SystemPackage */

/** @returns {SystemPackage[]} */
function systemPackages() {
  /** @type {SystemPackage[]} */
  const packages = [
    {
      name: "libdnnl2",
      why: "fast matrix products (oneDNN); without it a slower built-in kernel serves",
      required: false,
    },
  ];
  if (!commandExists("make") && !commandExists("ninja")) {
    packages.push({ name: "make", why: "the native build", required: true });
  }
  if (!commandExists("cmake")) {
    packages.push({ name: "cmake", why: "the native build", required: true });
  }
  if (!commandExists("g++") && !commandExists("clang++")) {
    packages.push({ name: "g++", why: "the native build", required: true });
  }
  const forWindow = ["libgtk-3-0", "libnss3", "libasound2", "libgbm1", "libatk-bridge2.0-0", "libxss1"];
  if (isTest) {
    for (const name of ["xvfb", "xauth", ...forWindow]) {
      packages.push({ name, why: "the window's tests", required: true });
    }
    for (const name of ["python3", "python3-numpy", "python3-torch", "libopenblas0-openmp"]) {
      packages.push({ name, why: "the comparison with PyTorch", required: true });
    }
    packages.push({ name: "python3-sentencepiece", why: "the comparison with SentencePiece", required: false });
    packages.push({ name: "clang-format", why: "the format check", required: true });
  }
  return packages;
}

/** @param {string} command */
function commandExists(command) {
  return spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0;
}

/** @param {string} name */
function isInstalled(name) {
  const result = spawnSync("dpkg-query", ["-W", "-f", "${Status}", name], { encoding: "utf8" });
  return result.status === 0 && result.stdout.includes("install ok installed");
}

/** @param {string} title @param {() => void} work */
function step(title, work) {
  const begin = Date.now();
  console.log(`setup: ${title} …`);
  work();
  console.log(`setup: ${title}: done in ${((Date.now() - begin) / 1000).toFixed(1)} s`);
}

/** @param {string} command @param {string[]} args @param {string} whatToDo @param {NodeJS.ProcessEnv} [env] */
function mustRun(command, args, whatToDo, env) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  if (result.status !== 0) {
    console.error(`setup: \`${command} ${args.join(" ")}\` failed. ${whatToDo}`);
    process.exit(1);
  }
}

function installSystemPackages() {
  if (!commandExists("dpkg-query") || !commandExists("apt-get")) {
    return;
  }
  const missing = systemPackages().filter((each) => !isInstalled(each.name));
  if (missing.length === 0) {
    return;
  }
  const names = missing.map((each) => each.name);
  const isRoot = process.getuid?.() === 0;
  const hasSudo = !isRoot && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
  const command = `apt-get install -y --no-install-recommends ${names.join(" ")}`;
  if (!isRoot && !hasSudo) {
    console.log(
      `setup: these system packages are missing: ${missing.map((each) => `${each.name} (${each.why})`).join(", ")}.`,
    );
    console.log(`setup: install them with: sudo ${command}`);
    if (missing.some((each) => each.required)) {
      process.exit(1);
    }
    return;
  }
  step(`system packages ${names.join(" ")}`, () => {
    /** @param {string[]} args */
    const apt = (args) =>
      spawnSync(
        isRoot ? "apt-get" : "sudo",
        [...(isRoot ? [] : ["-n", "apt-get"]), "-qq", "-o", "DPkg::Lock::Timeout=300", ...args],
        {
          stdio: ["ignore", "ignore", "inherit"],
          env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
        },
      ).status === 0;
    const install = ["install", "-y", "--no-install-recommends", ...names];
    // A fresh image has no package lists; a stale one may name versions that are gone.
    if (!apt(install) && !(apt(["update"]) && apt(install))) {
      console.error(`setup: ${command} failed; run it by hand to see why.`);
      if (missing.some((each) => each.required)) {
        process.exit(1);
      }
    }
  });
}

function installNpmPackages() {
  const digest = createHash("sha256")
    .update(readFileSync(path.join(root, "package-lock.json")))
    .update(process.version)
    .digest("hex");
  const marker = path.join(root, "node_modules", ".assay-installed");
  if (existsSync(marker) && readFileSync(marker, "utf8") === digest) {
    return;
  }
  step("npm packages", () => {
    // Install scripts are not run: the only one that matters downloads Electron, and it may fail without harm.
    // Not `npm ci`: it refuses a lock file that leaves out builds for other systems, which some registries do not carry.
    mustRun(
      "npm",
      ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
      "Check the network and the disk, then run this again.",
    );
    mkdirSync(path.dirname(marker), { recursive: true });
    writeFileSync(marker, digest);
  });
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`setup: Assay needs Node 20.19 or newer, this is ${process.version}.`);
  process.exit(1);
}
installSystemPackages();
installNpmPackages();
step("native engine", () =>
  mustRun(process.execPath, ["scripts/build-native.mjs"], "The compiler's first error above says what is wrong."),
);
step("command line and window", () =>
  mustRun(process.execPath, ["scripts/build.mjs"], "The first error above says what is wrong."),
);
step("Electron", () => {
  const mode = isTest ? "--allow-fallback" : "--official";
  spawnSync(process.execPath, ["scripts/electron-runtime.mjs", "--prepare", mode], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
});
