// Cases of every family and head as bench/parity/families_cases.py writes them, and the comparison with what PyTorch
// computed from them.
import { execFile, spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import {
  loadAddon,
  type NativeBatch,
  type NativeModel,
  type NativeModelConfig,
  type NativeTrainingOptions,
} from "#core/engine/addon";

// Debian's python3-torch belongs to Debian's interpreter, which need not be the first in PATH.
const python = "/usr/bin/python3";
export const hasTorch = spawnSync(python, ["-c", "import torch, numpy"]).status === 0;
export const withoutTorch = hasTorch ? "" : " (python3-torch is not installed: apt-get install python3-torch)";

/** Runs a script of bench/parity; its error message is the test's. */
export async function runReference(script: string, ...args: readonly string[]): Promise<void> {
  const file = path.resolve(import.meta.dirname, "..", "..", "bench", "parity", script);
  await promisify(execFile)(python, [file, ...args]);
}

export type PlainTensor = { readonly shape: readonly number[]; readonly values: Float32Array };

/** The F32 tensors of a safetensors file, read with nothing of the engine. */
export async function readTensors(file: string): Promise<ReadonlyMap<string, PlainTensor>> {
  const bytes = await readFile(file);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    bytes.toString("utf8", 8, 8 + headerBytes),
  );
  const tensors = new Map<string, PlainTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== "__metadata__" && entry.dtype === "F32") {
      const [begin, end] = entry.data_offsets;
      // A copy: the values need not lie at a multiple of four bytes.
      const copy = Uint8Array.prototype.slice.call(bytes, 8 + headerBytes + begin, 8 + headerBytes + end);
      tensors.set(name, { shape: entry.shape, values: new Float32Array(copy.buffer) });
    }
  }
  return tensors;
}

export type Precision = "fp32" | "bf16";

export type FamilyCase = {
  readonly name: string;
  readonly folder: string;
  readonly config: NativeModelConfig;
  readonly batch: NativeBatch;
  readonly losses: Readonly<Record<Precision, number>>;
  readonly labelSmoothing: number;
  readonly classWeights: readonly number[] | null;
  readonly lora: null | {
    readonly rank: number;
    readonly alpha: number;
    readonly dropout: number;
    readonly targets: readonly string[];
    /** The modules that the targets name. */
    readonly adapted: readonly string[];
  };
  readonly training: null | {
    readonly clipping: number;
    readonly optimizer: Omit<NativeTrainingOptions["optimizer"], "noDecay">;
    readonly losses: readonly number[];
    /** With moments in 8-bit blocks. */
    readonly losses8bit: readonly number[];
  };
  readonly greedy: readonly { readonly prompt: readonly number[]; readonly ids: readonly number[] }[];
};

export async function readCase(folder: string): Promise<FamilyCase> {
  const { batch, ...found } = JSON.parse(await readFile(path.join(folder, "case.json"), "utf8"));
  const arrays = Object.entries(batch).map(([name, value]) => [
    name,
    Array.isArray(value) ? Int32Array.from(value) : value,
  ]);
  return { lora: null, training: null, greedy: [], ...found, folder, batch: Object.fromEntries(arrays) };
}

export async function readCases(folder: string): Promise<readonly FamilyCase[]> {
  const names: string[] = JSON.parse(await readFile(path.join(folder, "cases.json"), "utf8"));
  return await Promise.all(names.map((name) => readCase(path.join(folder, name))));
}

export function familyTraining(
  { batch, labelSmoothing, classWeights }: FamilyCase,
  changes: Partial<NativeTrainingOptions> = {},
): NativeTrainingOptions {
  return {
    microbatchSize: batch.batch,
    seqLen: batch.seqLen,
    globalBatchSize: batch.batch,
    seed: 17,
    optimizer: { lr: 1e-3, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, noDecay: [] },
    gradientClipping: null,
    precision: "fp32",
    recompute: "none",
    stochasticRounding: false,
    optimizerState: "fp32",
    frozen: [],
    labelSmoothing,
    classWeights,
    documentMask: false,
    masking: null,
    ...changes,
  };
}

/** The case's model with its weights and adapters, prepared to train. */
export async function openCase(each: FamilyCase, changes: Partial<NativeTrainingOptions> = {}): Promise<NativeModel> {
  const model = loadAddon().createModel(each.config, { threads: 2, lora: each.lora });
  await model.loadWeights(path.join(each.folder, "weights.safetensors"));
  if (each.lora !== null) {
    await model.loadAdapter(path.join(each.folder, "adapter.safetensors"));
  }
  await model.prepareTraining(familyTraining(each, changes));
  return model;
}

/** L2, over all of them together. */
export function norm(...tensors: readonly Float32Array[]): number {
  let squares = 0;
  for (const values of tensors) {
    for (let index = 0; index < values.length; index += 1) {
      squares += (values[index] ?? 0) ** 2;
    }
  }
  return Math.sqrt(squares);
}

function distance(ours: Float32Array, theirs: Float32Array): number {
  let squares = 0;
  for (let index = 0; index < ours.length; index += 1) {
    squares += ((ours[index] ?? Number.NaN) - (theirs[index] ?? Number.NaN)) ** 2;
  }
  return Math.sqrt(squares);
}

// As in check_parity.py: relative L2 distance, and absolute where the true gradient vanishes.
const limits = { fp32: 1e-4, bf16: 2e-2 } as const;
const ABSOLUTE_FLOOR = 1e-6;
/** What rounding of operands leaves of a gradient whose true value is zero, as a part of the whole gradient. */
const BF16_NOISE = 2 ** -9;

/**
 * Softmax ignores what is added to all its inputs, so the gradients of key biases, of the biases of span heads and
 * choices, and of what leads to nothing else, are zero but for rounding.
 */
export function isTrulyZero(exact: Float32Array): boolean {
  return norm(exact) < ABSOLUTE_FLOOR;
}

/** Gathers disagreements, so that a failing case names several tensors at once. */
export class Agreement {
  readonly failures: string[] = [];
  readonly #precision: Precision;
  readonly #zeroLimit: number;

  /** `wholeGradient` is the norm over all tensors. */
  constructor(precision: Precision, wholeGradient = 0) {
    this.#precision = precision;
    this.#zeroLimit = precision === "fp32" ? ABSOLUTE_FLOOR : Math.max(ABSOLUTE_FLOOR, BF16_NOISE * wholeGradient);
  }

  tensor(name: string, ours: Float32Array, theirs: Float32Array, isZero = false): void {
    if (ours.length !== theirs.length) {
      this.failures.push(`${name}: ${ours.length} values where ${theirs.length} were expected`);
      return;
    }
    const absolute = distance(ours, theirs);
    const relative = absolute / Math.max(norm(theirs), 1e-30);
    const agrees = isZero
      ? norm(ours) <= this.#zeroLimit
      : relative < limits[this.#precision] || absolute < ABSOLUTE_FLOOR;
    if (!agrees) {
      this.failures.push(`${name}: relative L2 ${relative.toExponential(2)}, absolute ${absolute.toExponential(2)}`);
    }
  }

  number(name: string, ours: number, theirs: number): void {
    if (!(Math.abs(ours - theirs) <= limits[this.#precision] * Math.abs(theirs))) {
      this.failures.push(`${name}: ${ours} here, ${theirs} in PyTorch`);
    }
  }
}

/** Logits of a batch without those of padding, which mean nothing; those of whole sequences as they are. */
export function unpaddedLogits(batch: NativeBatch, logits: Float32Array): Float32Array {
  const { segments, tokens } = batch;
  const width = logits.length / tokens.length;
  if (segments === undefined || !Number.isInteger(width)) {
    return logits;
  }
  return logits.filter((_, index) => (segments[Math.floor(index / width)] ?? -1) >= 0);
}
