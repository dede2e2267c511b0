#!/usr/bin/env node
// Configures and builds native/ with CMake into build/native; only what changed is compiled again.
// usage: node scripts/build-native.mjs [--sanitize]
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const sanitize = process.argv.includes("--sanitize");
const buildFolder = path.join(root, "build", sanitize ? "native-sanitize" : "native");

/** @param {string[]} args */
function cmake(args) {
  const result = spawnSync("cmake", args, { stdio: "inherit", cwd: root });
  if (result.error !== undefined) {
    console.error(
      "cmake was not found: install CMake 3.22 or newer (on Debian: apt-get install cmake g++), then run this again.",
    );
    process.exit(1);
  }
  if (result.status !== 0) {
    process.exit(result.status ?? 1);
  }
}

cmake([
  "-S",
  path.join(root, "native"),
  "-B",
  buildFolder,
  `-DCMAKE_BUILD_TYPE=${sanitize ? "RelWithDebInfo" : "Release"}`,
  `-DASSAY_NODE_MODULES=${path.join(root, "node_modules")}`,
  `-DASSAY_SANITIZE=${sanitize ? "ON" : "OFF"}`,
  `-DASSAY_NODE=${sanitize ? "OFF" : "ON"}`,
  `-DASSAY_BENCH=${sanitize ? "OFF" : "ON"}`,
  // Sanitizers cost a factor of their own; without some optimisation the tests take minutes.
  ...(sanitize ? ["-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1"] : []),
  "--log-level=WARNING",
]);
cmake(["--build", buildFolder, "-j", String(availableParallelism())]);
