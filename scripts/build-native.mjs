#!/usr/bin/env node
// Configures and builds native/ with CMake into build/native; only what changed is compiled again. The CUDA library is
// built beside it where there is a driver to run it, for the GPUs of this machine; --cuda builds that library alone, for
// all GPUs it knows, into build/native-cuda.
// usage: node scripts/build-native.mjs [--sanitize | --cuda]
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const sanitize = process.argv.includes("--sanitize");
const cuda = process.argv.includes("--cuda");
const buildFolder = path.join(root, "build", sanitize ? "native-sanitize" : cuda ? "native-cuda" : "native");

/**
 * What nvcc is to build for: the GPUs here, or nothing where there is no driver, or no nvcc, to ask.
 * @returns {string[]}
 */
function architecturesHere() {
  if (!existsSync("/proc/driver/nvidia/version") && !existsSync("/dev/nvidiactl")) {
    return [];
  }
  const asked = spawnSync("nvidia-smi", ["--query-gpu=compute_cap", "--format=csv,noheader"], { encoding: "utf8" });
  const found = (asked.stdout ?? "").match(/\d+\.\d+/g) ?? [];
  // Hopper's own instructions need the letter.
  return [...new Set(found.map((version) => version.replace(".", "").replace(/^90$/, "90a")))];
}

const architectures = sanitize || cuda ? [] : architecturesHere();

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
  `-DASSAY_NODE=${sanitize || cuda ? "OFF" : "ON"}`,
  `-DASSAY_BENCH=${sanitize || cuda ? "OFF" : "ON"}`,
  `-DASSAY_TESTS=${cuda ? "OFF" : "ON"}`,
  `-DASSAY_CUDA=${cuda ? "ON" : architectures.length > 0 ? "AUTO" : "OFF"}`,
  ...(architectures.length > 0 ? [`-DASSAY_CUDA_ARCHITECTURES=${architectures.join(";")}`] : []),
  // Sanitizers cost a factor of their own; without some optimisation the tests take minutes.
  ...(sanitize ? ["-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1"] : []),
  "--log-level=WARNING",
]);
cmake(["--build", buildFolder, "-j", String(availableParallelism()), ...(cuda ? ["--target", "assay-cuda"] : [])]);
