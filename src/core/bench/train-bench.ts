// Whole training steps of the engine beside PyTorch at its best settings: the same shapes, in interleaved rounds, each
// side a process of its own that prints its step times. Correctness is proved elsewhere (bench/parity).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { programRoot } from "#core/paths";
import { AppError } from "#shared/errors";
import { type BenchProgress, type BenchRow, benchRow } from "./rows.ts";

export const trainBenchShapes = ["bench-s", "bench-m", "gpt2-124m"] as const;

export const trainBenchPrecisions = ["fp32", "bf16"] as const;

type Timing = {
  readonly tokens_per_step: number;
  readonly step_seconds: readonly number[];
  readonly peak_bytes: number;
  readonly torch?: string;
};

function runOnce(command: string, args: readonly string[], cwd: string, threads: number): Timing {
  const result = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 1 << 24,
    // Debian's alternative for BLAS may be the pthread build, whose threads fight PyTorch's own and halve its speed.
    env: { ...process.env, OMP_NUM_THREADS: String(threads), ...openBlasForOpenMp() },
  });
  if (result.status !== 0) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${path.basename(command)} ${args.join(" ")} failed: ${result.stderr.trim().split("\n").at(-1) ?? ""}`,
    );
  }
  return JSON.parse(result.stdout.trim().split("\n").at(-1) ?? "");
}

function openBlasForOpenMp(): Record<string, string> {
  const folder = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/openblas-openmp`;
  return existsSync(folder) ? { LD_LIBRARY_PATH: `${folder}:${process.env["LD_LIBRARY_PATH"] ?? ""}` } : {};
}

function stepsPerRound(shape: string): number {
  return shape === "gpt2-124m" ? 3 : 10;
}

export function trainBench(options: {
  readonly shapes: readonly string[];
  readonly precisions: readonly (typeof trainBenchPrecisions)[number][];
  readonly rounds: number;
  readonly threads: number;
  readonly onProgress: BenchProgress;
}): readonly BenchRow[] {
  const root = programRoot();
  const ours = path.join(root, "build", "native", "bench", "bench-train");
  const peerFolder = path.join(root, "bench", "parity");
  if (!existsSync(ours)) {
    throw new AppError("ADDON_NOT_BUILT", `${ours} is not there; build it with \`npm run build:native\`.`);
  }
  const rows: BenchRow[] = [];
  for (const precision of options.precisions) {
    const ofPrecision: BenchRow[] = [];
    const memory: BenchRow[] = [];
    for (const shape of options.shapes) {
      const rounds: { ours: number[]; peer: number[] }[] = [];
      const peaks: { ours: number[]; peer: number[] }[] = [];
      let torch = "";
      for (let round = 1; round <= options.rounds; round += 1) {
        options.onProgress(`${precision} ${shape}, round ${round} of ${options.rounds}`);
        const steps = String(stepsPerRound(shape));
        const threads = String(options.threads);
        const args = [
          "--shape",
          shape,
          "--precision",
          precision,
          "--steps",
          steps,
          "--warmup",
          "2",
          "--threads",
          threads,
        ];
        const mine = runOnce(ours, args, root, options.threads);
        const theirs = runOnce("/usr/bin/python3", ["torch_train_bench.py", ...args], peerFolder, options.threads);
        torch = theirs.torch ?? "";
        rounds.push({
          ours: mine.step_seconds.map((seconds) => mine.tokens_per_step / seconds),
          peer: theirs.step_seconds.map((seconds) => theirs.tokens_per_step / seconds),
        });
        // As a rate, so that above 1 is better here too.
        peaks.push({ ours: [1e9 / mine.peak_bytes], peer: [1e9 / theirs.peak_bytes] });
      }
      const peer = `PyTorch ${torch} ${precision === "fp32" ? "fp32" : "bf16 autocast"}, OpenMP OpenBLAS`;
      ofPrecision.push(benchRow(`${precision} ${shape}`, peer, "tok/s", rounds));
      memory.push(benchRow(`${precision} ${shape} memory`, peer, "1/GB", peaks));
    }
    rows.push(...ofPrecision, ...(ofPrecision.length > 1 ? [geometricMean(precision, ofPrecision)] : []), ...memory);
  }
  return rows;
}

function geometricMean(precision: string, rows: readonly BenchRow[]): BenchRow {
  const mean = (of: (row: BenchRow) => number | null) =>
    Math.exp(rows.reduce((sum, row) => sum + Math.log(of(row) ?? Number.NaN), 0) / rows.length);
  return {
    name: `${precision} geometric mean`,
    ours: mean((row) => row.ours),
    peer: mean((row) => row.peer),
    peer_name: rows[0]?.peer_name ?? "",
    ratio: mean((row) => row.ratio),
    best_ratio: mean((row) => row.best_ratio),
    best_ours: mean((row) => row.best_ours),
    best_peer: mean((row) => row.best_peer),
    unit: "tok/s",
    rounds: rows[0]?.rounds ?? 0,
  };
}
