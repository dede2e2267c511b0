// Temporary workspaces and runs for tests, removed when the test is over.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { RUN_FORMAT_VERSION, type RunManifest } from "#shared/domain/run";

/** A new folder; `await using` removes it. */
export async function temporaryFolder(prefix = "assay-"): Promise<{ readonly path: string } & AsyncDisposable> {
  const folder = await mkdtemp(path.join(tmpdir(), prefix));
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

class RunBuilder {
  readonly #changes: Partial<RunManifest>;
  readonly #metrics: readonly string[];

  constructor(changes: Partial<RunManifest> = {}, metrics: readonly string[] = []) {
    this.#changes = changes;
    this.#metrics = metrics;
  }

  with(changes: Partial<RunManifest>): RunBuilder {
    return new RunBuilder({ ...this.#changes, ...changes }, this.#metrics);
  }

  withStatus(status: RunManifest["status"]): RunBuilder {
    return this.with({ status });
  }

  withMetrics(...lines: readonly object[]): RunBuilder {
    return new RunBuilder(this.#changes, [...this.#metrics, ...lines.map((line) => JSON.stringify(line))]);
  }

  manifest(): RunManifest {
    return {
      format_version: RUN_FORMAT_VERSION,
      id: "20261121-120000-tiny-abcd",
      name: "tiny",
      status: "completed",
      phase: null,
      pid: null,
      pid_start_time: null,
      host: hostname(),
      created_at: "2026-11-21T12:00:00.000Z",
      started_at: null,
      ended_at: null,
      seed: 17,
      versions: {},
      data_fingerprint: null,
      step: 0,
      total_steps: null,
      tokens: 0,
      resumes: 0,
      branched_from: null,
      planned_memory_bytes: null,
      trainable_parameters: null,
      best: null,
      exit_reason: null,
      ...this.#changes,
    };
  }

  /** Writes it into the workspace and returns its directory. */
  async in(workspace: string): Promise<string> {
    const manifest = this.manifest();
    const directory = path.join(workspace, "runs", manifest.id);
    await mkdir(path.join(directory, "checkpoints"), { recursive: true });
    await mkdir(path.join(directory, "control"), { recursive: true });
    await writeFile(path.join(directory, "run.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    if (this.#metrics.length > 0) {
      await writeFile(path.join(directory, "metrics.jsonl"), this.#metrics.map((line) => `${line}\n`).join(""));
    }
    return directory;
  }
}

/** A completed run of this host; `aRun().withStatus("running").in(workspace)`. */
export function aRun(): RunBuilder {
  return new RunBuilder();
}
