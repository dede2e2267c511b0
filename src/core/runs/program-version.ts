// The version of this program, as every run records it.
import { readFileSync } from "node:fs";
import path from "node:path";
import { programRoot } from "../paths.ts";

export function programVersion(): string {
  // as: our own package.json; the check below covers what matters.
  const { version } = JSON.parse(readFileSync(path.join(programRoot(), "package.json"), "utf8")) as {
    version?: unknown;
  };
  return typeof version === "string" ? version : "unknown";
}
