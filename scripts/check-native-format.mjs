#!/usr/bin/env node
// Checks (or with --write mends) the format of the C++ sources with the one clang-format major we pin.
// usage: node scripts/check-native-format.mjs [--write]
import { spawnSync } from "node:child_process";

const pinnedMajor = 14;
const version = spawnSync("clang-format", ["--version"], { encoding: "utf8" });
const major = Number(/version (\d+)/.exec(version.stdout ?? "")?.[1] ?? 0);
if (major !== pinnedMajor) {
  console.error(
    major === 0
      ? `clang-format ${pinnedMajor} is not installed; on Debian 12: apt-get install clang-format.`
      : `clang-format ${pinnedMajor} is wanted, this is ${major}: other versions format differently.`,
  );
  process.exit(1);
}
const listed = spawnSync("git", ["ls-files", "-co", "--exclude-standard", "native", "bench"], { encoding: "utf8" });
const files = listed.stdout
  .split("\n")
  .filter((name) => /\.(h|cpp|cu|cuh)$/.test(name) && !name.includes(".generated."));
const mode = process.argv.includes("--write") ? ["-i"] : ["--dry-run", "--Werror"];
const result = spawnSync("clang-format", ["--style=file", ...mode, ...files], { stdio: "inherit" });
process.exit(result.status ?? 1);
