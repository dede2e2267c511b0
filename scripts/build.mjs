#!/usr/bin/env node
// Bundles every process of Assay into dist/: command line, runner, engine host, Electron main, preload and the window.
// usage: node scripts/build.mjs [--watch] [--no-window]
import { rm } from "node:fs/promises";
import { build, context } from "esbuild";
import { build as buildWindow } from "vite";

const watch = process.argv.includes("--watch");
const withWindow = !process.argv.includes("--no-window");

/** @type {import("esbuild").BuildOptions} */
const node = {
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  sourcemap: true,
  logLevel: "warning",
  external: ["electron", "@anush008/tokenizers", "tiktoken"],
  // Bundled CommonJS packages ask for require, which an ES module does not have.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
};

/** @type {import("esbuild").BuildOptions[]} */
const bundles = [
  { ...node, entryPoints: { "cli/main": "src/cli/main.ts" }, outdir: "dist" },
  { ...node, entryPoints: { "runner/main": "src/runner/main.ts" }, outdir: "dist" },
  {
    ...node,
    entryPoints: {
      "core/import-worker": "src/core/corpus/import/import-worker.ts",
      "core/parquet-worker": "src/core/corpus/import/parquet-worker.ts",
      "core/stream-worker": "src/core/streaming/stream-worker.ts",
    },
    outdir: "dist",
  },
  { ...node, entryPoints: { "engine-host/main": "src/engine-host/main.ts" }, outdir: "dist" },
  {
    ...node,
    entryPoints: {
      "main/main": "src/main/main.ts",
      "main/runs-worker": "src/main/runs-worker.ts",
      "main/corpora-worker": "src/main/corpora-worker.ts",
    },
    outdir: "dist",
  },
  // A sandboxed preload can only be CommonJS.
  {
    ...node,
    banner: {},
    format: "cjs",
    entryPoints: { "preload/preload": "src/preload/preload.ts" },
    outdir: "dist",
    outExtension: { ".js": ".cjs" },
  },
];

if (!watch) {
  for (const folder of ["cli", "core", "runner", "engine-host", "main", "preload"]) {
    await rm(`dist/${folder}`, { recursive: true, force: true });
  }
  await Promise.all(bundles.map((options) => build(options)));
  if (withWindow) {
    await buildWindow({ configFile: "vite.config.ts", logLevel: "warn" });
  }
} else {
  for (const options of bundles) {
    await (await context(options)).watch();
  }
  await buildWindow({ configFile: "vite.config.ts", logLevel: "warn", build: { watch: {} } });
}
