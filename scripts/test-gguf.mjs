#!/usr/bin/env node
// npm run test:gguf: a model with its own tokenizer, exported as GGUF, must run in llama.cpp (node-llama-cpp, prebuilt) as it
// runs here. The peer is large, so it is no dependency: it is installed into the user's cache when this is run.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const version = "3.22.1";

/** The prebuilt library for the CPU of each system; the others are for GPUs and take hundreds of megabytes. */
const libraries = {
  "linux-x64": "@node-llama-cpp/linux-x64",
  "linux-arm64": "@node-llama-cpp/linux-arm64",
  "darwin-x64": "@node-llama-cpp/mac-x64",
  "darwin-arm64": "@node-llama-cpp/mac-arm64-metal",
  "win32-x64": "@node-llama-cpp/win-x64",
};

const library = libraries[`${process.platform}-${process.arch}`];
if (library === undefined) {
  console.error(`node-llama-cpp has no prebuilt library for ${process.platform}-${process.arch}; nothing was tested.`);
  process.exit(1);
}
const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), ".cache");
const folder = path.join(cache, "assay", "peers", `node-llama-cpp-${version}`);
const entry = path.join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
if (!existsSync(entry) || !existsSync(path.join(folder, "node_modules", library))) {
  console.log(`Installing node-llama-cpp ${version} into ${folder} (about 85 MB) …`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "package.json"), '{ "private": true }\n');
  const packages = [`node-llama-cpp@${version}`, `${library}@${version}`];
  // No install scripts run: the library is prebuilt, and nothing is compiled or fetched besides.
  const words = ["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", ...packages];
  const { status } = spawnSync("npm", words, { cwd: folder, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0 || !existsSync(entry)) {
    console.error("node-llama-cpp could not be installed; check the network, then run npm run test:gguf again.");
    process.exit(1);
  }
}
const tsx = path.join(root, "node_modules", "tsx", "dist", "cli.mjs");
const { status } = spawnSync(process.execPath, [tsx, path.join(root, "test", "gguf", "main.ts")], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, ASSAY_LLAMA_ENTRY: pathToFileURL(entry).href },
});
process.exit(status ?? 1);
