// run.json: what a run is and how it is. Replaced whole, and only by the run's own runner; createRun writes the first.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { RUN_FORMAT_VERSION, type RunManifest, runManifestSchema } from "#shared/domain/run";
import { AppError } from "#shared/errors";
import { asFileError, systemErrorCode, writeFileDurably } from "./durable-file.ts";

export function manifestFile(runDirectory: string): string {
  return path.join(runDirectory, "run.json");
}

export async function readManifest(runDirectory: string): Promise<RunManifest> {
  const file = manifestFile(runDirectory);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT" || systemErrorCode(error) === "ENOTDIR") {
      throw new AppError("RUN_NOT_FOUND", `${runDirectory} is not a run: it has no run.json.`, { cause: error });
    }
    throw asFileError(error, `read ${file}`);
  }
  return parseManifest(text, file);
}

export function parseManifest(text: string, file: string): RunManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AppError(
      "JSON_INVALID",
      `${file} is not JSON, so the run's state is unknown; its checkpoints are untouched.`,
      {
        cause: error,
      },
    );
  }
  refuseForeignVersion(value, file, RUN_FORMAT_VERSION);
  const parsed = runManifestSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new AppError(
      "JSON_INVALID",
      `${file} is not a run's: ${issue?.path.join(".") ?? "it"}: ${issue?.message ?? "unreadable"}; its checkpoints are untouched.`,
    );
  }
  return parsed.data;
}

/** Shared by everything that has a `format_version`. */
export function refuseForeignVersion(value: unknown, file: string, known: number): void {
  const version =
    typeof value === "object" && value !== null ? (value as Record<string, unknown>)["format_version"] : undefined;
  if (version !== known) {
    throw new AppError(
      "FORMAT_VERSION_UNKNOWN",
      version === undefined
        ? `Cannot read ${file}: it has no format_version, and this build reads ${known}.`
        : `Cannot read ${file}: it says format ${JSON.stringify(version)}, this build reads ${known}; update Assay.`,
    );
  }
}

export async function writeManifest(runDirectory: string, manifest: RunManifest): Promise<void> {
  await writeFileDurably(manifestFile(runDirectory), `${JSON.stringify(manifest, null, 2)}\n`);
}
