// The programs that inference is measured by: our own without Node, llama.cpp without Node, and node-llama-cpp. Each is a
// process of its own that prints one JSON line; seconds in it are of rounds after one that warmed up.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { programRoot } from "#core/paths";
import { AppError } from "#shared/errors";
import type { NativeWeightType } from "../engine/addon.ts";
import { cachePath } from "./infer-models.ts";

const timingSchema = z.object({
  prompt_seconds: z.array(z.number()).default([]),
  decode_seconds: z.array(z.number()).default([]),
  ids: z.array(z.number()).default([]),
  weight_bytes: z.number().default(0),
  read_gigabytes_per_second: z.array(z.number()).default([]),
  sampling_microseconds: z.array(z.number()).default([]),
});
export type Timing = z.infer<typeof timingSchema>;

/** What a round does: tokens of the prompt (0: not measured) and tokens written (1 and less: not measured). */
export type Work = {
  readonly prompt: number;
  readonly tokens: number;
  readonly rounds: number;
  readonly threads: number;
};

function run(command: string, args: readonly string[], threads: number): Timing {
  const result = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 1 << 24,
    env: { ...process.env, OMP_NUM_THREADS: String(threads) },
  });
  if (result.status !== 0) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${path.basename(command)} ${args.join(" ")} failed: ${result.stderr.trim().split("\n").at(-1) ?? ""}`,
    );
  }
  return timingSchema.parse(JSON.parse(result.stdout.trim().split("\n").at(-1) ?? ""));
}

function argumentsOf({ prompt, tokens, rounds, threads }: Work): readonly string[] {
  return ["--prompt", prompt, "--tokens", tokens, "--rounds", rounds, "--threads", threads].map(String);
}

function built(name: string): string {
  const file = path.join(programRoot(), "build", "native", "bench", name);
  if (!existsSync(file)) {
    throw new AppError("ADDON_NOT_BUILT", `${file} is not there; build it with \`npm run build:native\`.`);
  }
  return file;
}

export function runOurs(
  work: Work,
  options: {
    readonly model: string;
    readonly weights: NativeWeightType;
    readonly batch?: number;
    readonly extra?: readonly ("--bandwidth" | "--sampling")[];
  },
): Timing {
  return run(
    built("bench-infer"),
    [
      "--model",
      options.model,
      "--weights",
      options.weights,
      "--batch",
      String(options.batch ?? 1),
      ...argumentsOf(work),
      ...(options.extra ?? []),
    ],
    work.threads,
  );
}

export type LlamaPeer = {
  /** node-llama-cpp's folder. */
  readonly package: string;
  readonly packageVersion: string;
  /** With libllama and libggml; null where this platform's are not there. */
  readonly libraries: string | null;
  /** llama.cpp's release. */
  readonly release: string;
};

const peerVersion = "3.22.1";

export function peerAdvice(): string {
  return `node-llama-cpp is not installed, so only our own figures are shown; get it (725 MB, outside the repository) with \`npm install --ignore-scripts --prefix ${cachePath("peers", "node-llama-cpp")} node-llama-cpp@${peerVersion}\`.`;
}

const packageSchema = z.object({ version: z.string() });
const releaseSchema = z.object({ llamaCpp: z.object({ release: z.string() }) });

export function findLlama(): LlamaPeer | null {
  const modules = cachePath("peers", "node-llama-cpp", "node_modules");
  const folder = path.join(modules, "node-llama-cpp");
  const description = path.join(folder, "package.json");
  if (!existsSync(description)) {
    return null;
  }
  const platform = `${process.platform}-${process.arch}`;
  const libraries = path.join(modules, "@node-llama-cpp", platform, "bins", platform);
  const metadata = path.join(libraries, "_nlcBuildMetadata.json");
  const hasLibraries = existsSync(metadata);
  const build = hasLibraries
    ? z.object({ buildOptions: releaseSchema }).parse(JSON.parse(readFileSync(metadata, "utf8")))
    : null;
  return {
    package: folder,
    packageVersion: packageSchema.parse(JSON.parse(readFileSync(description, "utf8"))).version,
    libraries: hasLibraries ? libraries : null,
    release: build?.buildOptions.llamaCpp.release ?? "",
  };
}

export function runLlama(work: Work, libraries: string, model: string): Timing {
  return run(built("bench-llama"), ["--libraries", libraries, "--model", model, ...argumentsOf(work)], work.threads);
}

export function runNodeLlama(work: Work, peer: LlamaPeer, model: string): Timing {
  const { tokens, rounds, threads } = work;
  return run(
    process.execPath,
    [
      path.join(programRoot(), "bench", "llama", "node-peer.mjs"),
      "--package",
      peer.package,
      "--model",
      model,
      ...["--tokens", tokens, "--rounds", rounds, "--threads", threads].map(String),
    ],
    threads,
  );
}
