#!/usr/bin/env node
// Runs the built command line; says what to do where it is not built.
import { existsSync } from "node:fs";

const entry = new URL("../dist/cli/main.js", import.meta.url);
if (!existsSync(entry)) {
  console.error("Assay is not built yet: run `npm run setup` (or `npm run quickstart`) in its folder first.");
  process.exit(1);
}
await import(entry.href);
