// How runs are, for everyone who looks: run.json and the newest metrics, and `lost` where the runner is gone without a
// word. Only files are read; nothing here writes.
import { open, readdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { aliveStatuses, type RunManifest, type RunStatus, type RunSummary } from "#shared/domain/run";
import { toErrorEnvelope } from "#shared/errors";
import { asFileError, systemErrorCode } from "./durable-file.ts";
import { manifestFile, readManifest } from "./manifest.ts";
import { type MetricRecord, metricsFile, parseMetricLine } from "./metrics.ts";
import { isAlive } from "./process-identity.ts";

/** How long a run may wait for its runner's first word before it counts as lost. */
const firstWordMs = 60_000;

/** What a reader makes of the written status. `isProcessAlive` speaks of the pid and start time in the manifest. */
export function deriveStatus(
  manifest: Pick<RunManifest, "status" | "pid" | "host" | "created_at">,
  facts: { readonly host: string; readonly isProcessAlive: boolean; readonly now: number },
): RunStatus {
  const { status, pid } = manifest;
  if (!aliveStatuses.has(status) && status !== "queued") {
    return status;
  }
  if (manifest.host !== facts.host) {
    return status; // nothing can be known from here
  }
  if (pid === null) {
    return status === "queued" && facts.now - Date.parse(manifest.created_at) < firstWordMs ? status : "lost";
  }
  return facts.isProcessAlive ? status : "lost";
}

export async function derivedStatus(manifest: RunManifest): Promise<RunStatus> {
  const { pid, pid_start_time: startTime, host } = manifest;
  const isProcessAlive = pid !== null && (await isAlive({ pid, startTime, host }));
  return deriveStatus(manifest, { host: hostname(), isProcessAlive, now: Date.now() });
}

type Newest = { readonly train: MetricRecord | null; readonly evaluation: MetricRecord | null };

const tailBytes = 64 * 1024;
const maxTailBytes = 8 * 1024 * 1024;

/** The newest records with a training loss and with an evaluation, found from the file's end. */
async function readNewest(runDirectory: string): Promise<Newest> {
  const file = metricsFile(runDirectory);
  let bytes = tailBytes;
  for (;;) {
    const tail = await readTail(file, bytes);
    const newest = findNewest(tail.text.split("\n"));
    if (tail.isWhole || bytes >= maxTailBytes || (newest.train !== null && newest.evaluation !== null)) {
      return newest;
    }
    bytes *= 8;
  }
}

async function readTail(file: string, bytes: number): Promise<{ text: string; isWhole: boolean }> {
  try {
    const handle = await open(file, "r");
    try {
      const { size } = await handle.stat();
      const from = Math.max(0, size - bytes);
      const buffer = Buffer.alloc(size - from);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
      return { text: buffer.toString("utf8", 0, bytesRead), isWhole: from === 0 };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      return { text: "", isWhole: true };
    }
    throw asFileError(error, `read ${file}`);
  }
}

/** Walks back over the lines; what a resume superseded does not count. */
export function findNewest(lines: readonly string[]): Newest {
  let maxStep = Infinity;
  let train: MetricRecord | null = null;
  let evaluation: MetricRecord | null = null;
  for (let at = lines.length - 1; at >= 0 && (train === null || evaluation === null); at -= 1) {
    const line = parseMetricLine(lines[at] ?? "");
    if (line?.kind === "resume") {
      maxStep = Math.min(maxStep, line.marker.from_step);
    } else if (line?.kind === "record" && line.record.step <= maxStep) {
      if (train === null && "train/loss" in line.record) {
        train = line.record;
      }
      if (evaluation === null && "eval/loss" in line.record) {
        evaluation = line.record;
      }
    }
  }
  return { train, evaluation };
}

/** Numbers that are not finite have no place in a summary; the curve shows them. */
function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function summarize(directory: string, manifest: RunManifest, status: RunStatus, newest: Newest): RunSummary {
  const tokensPerSecond = finite(newest.train?.["throughput/tokens_per_second"]);
  const stepsLeft = manifest.total_steps === null ? null : manifest.total_steps - manifest.step;
  const tokensPerStep = manifest.step > 0 ? manifest.tokens / manifest.step : null;
  const isUnderWay = status === "running" || status === "paused";
  return {
    id: manifest.id,
    name: manifest.name,
    directory,
    status,
    phase: aliveStatuses.has(status) || status === "queued" ? manifest.phase : null,
    createdAt: manifest.created_at,
    startedAt: manifest.started_at,
    endedAt: manifest.ended_at,
    step: manifest.step,
    totalSteps: manifest.total_steps,
    tokens: manifest.tokens,
    trainLoss: finite(newest.train?.["train/loss"]),
    evalLoss: finite(newest.evaluation?.["eval/loss"]),
    evalPerplexity: finite(newest.evaluation?.["eval/perplexity"]),
    evalBitsPerByte: finite(newest.evaluation?.["eval/bits_per_byte"]),
    tokensPerSecond,
    secondsLeft:
      isUnderWay && stepsLeft !== null && tokensPerStep !== null && tokensPerSecond !== null && tokensPerSecond > 0
        ? (stepsLeft * tokensPerStep) / tokensPerSecond
        : null,
    exitReason: manifest.exit_reason,
    problem: null,
  };
}

function unreadable(directory: string, problem: string): RunSummary {
  const id = path.basename(directory);
  return {
    id,
    name: id,
    directory,
    status: "lost",
    phase: null,
    createdAt: "",
    startedAt: null,
    endedAt: null,
    step: 0,
    totalSteps: null,
    tokens: 0,
    trainLoss: null,
    evalLoss: null,
    evalPerplexity: null,
    evalBitsPerByte: null,
    tokensPerSecond: null,
    secondsLeft: null,
    exitReason: null,
    problem,
  };
}

type Cached = { readonly stamp: string; readonly manifest: RunManifest; readonly newest: Newest };
const cache = new Map<string, Cached>();

/** Changes whenever run.json was replaced or metrics.jsonl grew. */
export async function changeStamp(directory: string): Promise<string> {
  const parts = await Promise.all(
    [manifestFile(directory), metricsFile(directory)].map(async (file) => {
      try {
        const { mtimeMs, size, ino } = await stat(file);
        return `${ino}:${mtimeMs}:${size}`;
      } catch {
        return "-";
      }
    }),
  );
  return parts.join(" ");
}

/** Throws where run.json cannot be read. */
export async function readSummary(directory: string): Promise<RunSummary> {
  for (;;) {
    const stamp = await changeStamp(directory);
    let cached = cache.get(directory);
    if (cached?.stamp !== stamp) {
      cached = { stamp, manifest: await readManifest(directory), newest: await readNewest(directory) };
      cache.set(directory, cached);
    }
    const status = await derivedStatus(cached.manifest);
    // A runner that is gone may have said its last words after they were looked for; one that is lost says no more.
    if (status !== "lost" || (await changeStamp(directory)) === stamp) {
      return summarize(directory, cached.manifest, status, cached.newest);
    }
  }
}

export function runsFolder(workspace: string): string {
  return path.join(workspace, "runs");
}

/** The run directories of a workspace, newest first by their names. */
export async function listRunDirectories(workspace: string): Promise<readonly string[]> {
  const folder = runsFolder(workspace);
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => path.join(folder, entry.name))
      .toSorted((a, b) => (a < b ? 1 : -1));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      return [];
    }
    throw asFileError(error, `read ${folder}`);
  }
}

/** Every run of the workspace, newest first; one whose run.json cannot be read is there with its `problem`. */
export async function listRuns(workspace: string): Promise<RunSummary[]> {
  const summaries = await Promise.all(
    (await listRunDirectories(workspace)).map(async (directory) => {
      try {
        return await readSummary(directory);
      } catch (error) {
        const { code, message } = toErrorEnvelope(error);
        return code === "RUN_NOT_FOUND" ? null : unreadable(directory, message);
      }
    }),
  );
  return summaries
    .filter((summary) => summary !== null)
    .toSorted((a, b) => (a.createdAt === b.createdAt ? (a.id < b.id ? 1 : -1) : a.createdAt < b.createdAt ? 1 : -1));
}
