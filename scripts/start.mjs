#!/usr/bin/env node
// Starts the built window with the official Electron (or what ELECTRON_OVERRIDE_DIST_PATH names).
// usage: node scripts/start.mjs [--run DIR]
import { spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { noElectronSentence, resolveElectron } from "./electron-runtime.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const found = resolveElectron({ allowFallback: process.env.ASSAY_ELECTRON_FALLBACK === "1" });
if (found === null) {
  console.error(noElectronSentence);
  process.exit(1);
}
if (found.kind === "fallback") {
  console.error("This is the old Electron that a third party re-uploaded, for a look only; do not work with it.");
}
const isRoot = process.getuid?.() === 0;
// Chromium refuses its sandbox to root; everybody else gets it.
const flags = isRoot ? ["--no-sandbox"] : [];
const env = { ...process.env };
// A terminal inside an Electron app may carry it; the window would then be a plain Node.
delete env.ELECTRON_RUN_AS_NODE;
const child = spawn(found.binary, [...flags, root, ...process.argv.slice(2)], { stdio: "inherit", env });
child.on("exit", (code) => process.exit(code ?? 1));
