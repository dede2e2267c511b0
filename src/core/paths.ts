// Where the program's own files and the user's workspace lie. The program's root is found by walking up from this
// file, so that the same code works from source, from dist/ and in a packaged app.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json and resources/. */
export function programRoot(): string {
  const override = process.env["ASSAY_ROOT"];
  if (override !== undefined && override !== "") {
    return override;
  }
  let folder = path.dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(path.join(folder, "package.json")) && existsSync(path.join(folder, "resources"))) {
      return folder;
    }
    const parent = path.dirname(folder);
    if (parent === folder) {
      throw new Error("The program's own folder was not found: no package.json with resources/ lies above this file.");
    }
    folder = parent;
  }
}

export function resourcePath(...parts: readonly string[]): string {
  return path.join(programRoot(), "resources", ...parts);
}

/** `--workspace`, else $ASSAY_HOME, else ~/Assay. */
export function workspacePath(option?: string): string {
  const fromEnvironment = process.env["ASSAY_HOME"];
  if (option !== undefined && option !== "") {
    return path.resolve(option);
  }
  return fromEnvironment !== undefined && fromEnvironment !== ""
    ? path.resolve(fromEnvironment)
    : path.join(homedir(), "Assay");
}
