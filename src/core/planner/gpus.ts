// Graphics processors a run may be planned for: memory, dense bf16 peak with fp32 sums, and fp32 peak, as their makers
// state them.
// Where a data sheet gives the figure with structured sparsity, half of it stands here.
import type { Recipe, Recompute } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import { nearestWord } from "../recipe/nearest-key.ts";

export type Gpu = {
  readonly name: string;
  readonly title: string;
  readonly memoryBytes: number;
  readonly bf16FlopsPerSecond: number;
  /** Without tensor cores. */
  readonly fp32FlopsPerSecond: number;
  /** What NVIDIA's driver calls it. */
  readonly driverName: RegExp;
};

export const gpus: readonly Gpu[] = [
  // NVIDIA A100 Tensor Core GPU data sheet, 2021: BFLOAT16 Tensor Core 312 TFLOPS.
  {
    name: "a100-40gb",
    title: "A100 40 GB",
    memoryBytes: 40e9,
    bf16FlopsPerSecond: 312e12,
    fp32FlopsPerSecond: 19.5e12,
    driverName: /A100.*40GB/,
  },
  {
    name: "a100-80gb",
    title: "A100 80 GB",
    memoryBytes: 80e9,
    bf16FlopsPerSecond: 312e12,
    fp32FlopsPerSecond: 19.5e12,
    driverName: /A100.*80GB/,
  },
  // NVIDIA H100 Tensor Core GPU data sheet, 2023: 1,979 TFLOPS with sparsity (SXM), 1,513 (PCIe).
  {
    name: "h100-80gb",
    title: "H100 SXM 80 GB",
    memoryBytes: 80e9,
    bf16FlopsPerSecond: 989e12,
    fp32FlopsPerSecond: 67e12,
    driverName: /H100 80GB HBM3/,
  },
  {
    name: "h100-pcie",
    title: "H100 PCIe 80 GB",
    memoryBytes: 80e9,
    bf16FlopsPerSecond: 756e12,
    fp32FlopsPerSecond: 51e12,
    driverName: /H100 PCIe/,
  },
  // NVIDIA H200 Tensor Core GPU data sheet, 2024: 1,979 TFLOPS with sparsity, 141 GB.
  {
    name: "h200",
    title: "H200 141 GB",
    memoryBytes: 141e9,
    bf16FlopsPerSecond: 989e12,
    fp32FlopsPerSecond: 67e12,
    driverName: /H200$/,
  },
  // NVIDIA RTX A6000 data sheet, 2021: 309.7 TFLOPS with sparsity.
  {
    name: "a6000",
    title: "RTX A6000 48 GB",
    memoryBytes: 48e9,
    bf16FlopsPerSecond: 154.8e12,
    fp32FlopsPerSecond: 38.7e12,
    driverName: /RTX A6000$/,
  },
  // NVIDIA Ada GPU architecture paper, 2022, appendix A: RTX 4090, BF16 with FP32 accumulate 165.2 TFLOPS dense.
  {
    name: "rtx-4090",
    title: "RTX 4090 24 GB",
    memoryBytes: 24e9,
    bf16FlopsPerSecond: 165.2e12,
    fp32FlopsPerSecond: 82.6e12,
    driverName: /RTX 4090$/,
  },
  // NVIDIA Ampere GA102 GPU architecture paper, 2020: RTX 3090, BF16 with FP32 accumulate 71 TFLOPS dense.
  {
    name: "rtx-3090",
    title: "RTX 3090 24 GB",
    memoryBytes: 24e9,
    bf16FlopsPerSecond: 71e12,
    fp32FlopsPerSecond: 35.6e12,
    driverName: /RTX 3090$/,
  },
  // NVIDIA L4 Tensor Core GPU data sheet, 2023: 242 TFLOPS with sparsity.
  {
    name: "l4",
    title: "L4 24 GB",
    memoryBytes: 24e9,
    bf16FlopsPerSecond: 121e12,
    fp32FlopsPerSecond: 30.3e12,
    driverName: / L4$/,
  },
  // NVIDIA L40S data sheet, 2023: 362.05 TFLOPS dense.
  {
    name: "l40s",
    title: "L40S 48 GB",
    memoryBytes: 48e9,
    bf16FlopsPerSecond: 362e12,
    fp32FlopsPerSecond: 91.6e12,
    driverName: /L40S$/,
  },
  // NVIDIA A10 Tensor Core GPU data sheet, 2021: 125 TFLOPS dense.
  {
    name: "a10",
    title: "A10 24 GB",
    memoryBytes: 24e9,
    bf16FlopsPerSecond: 125e12,
    fp32FlopsPerSecond: 31.2e12,
    driverName: / A10$/,
  },
];

/** Names people use for the commoner of two. */
const aliases: Readonly<Record<string, string>> = {
  a100: "a100-40gb",
  h100: "h100-80gb",
  "rtx-a6000": "a6000",
  "4090": "rtx-4090",
  "3090": "rtx-3090",
};

export function findGpu(name: string): Gpu {
  const wanted = name.toLowerCase().replaceAll(/[\s_]+/g, "-");
  const found = gpus.find((gpu) => gpu.name === (aliases[wanted] ?? wanted));
  if (found === undefined) {
    const names = gpus.map((gpu) => gpu.name);
    const near = nearestWord(wanted, names);
    throw new AppError(
      "BAD_ARGUMENT",
      `There is no GPU "${name}" in the planner's table; it has ${names.join(", ")}${near === null ? "." : `; did you mean ${near}?`}`,
    );
  }
  return found;
}

export type GpuPeak = { readonly title: string; readonly flopsPerSecond: number };

/** The best that a GPU of this machine could do; null for one that is not in the table. */
export function gpuPeak(driverName: string, precision: Recipe["precision"]): GpuPeak | null {
  const gpu = gpus.find((each) => each.driverName.test(driverName));
  return gpu === undefined
    ? null
    : { title: gpu.title, flopsPerSecond: precision === "amp_bf16" ? gpu.bf16FlopsPerSecond : gpu.fp32FlopsPerSecond };
}

/** Assumed where no MFU is given: BioMedLM's 128 GPUs reached 0.23, careful set-ups of one node reach 0.4 to 0.5. */
export const USUAL_MFU = 0.35;

/**
 * Memory of one GPU of a sharded run (FSDP): 16 bytes a parameter over all GPUs (bf16 weights and gradients, fp32 master
 * weights and two running means), activations as Korthikanti et al. 2022 count them for a block in 16 bits without the
 * attention matrix (34 bytes a token and unit of width; without what norms and the nonlinearity gave 22; with full
 * recomputation 2, and one block whole), and the logits in bf16 with their fp32 loss.
 */
export function gpuTrainingMemory(
  shape: { readonly parameters: number; readonly layers: number; readonly width: number; readonly vocabSize: number },
  training: {
    readonly gpuCount: number;
    readonly microbatch: number;
    readonly seqLen: number;
    readonly recompute: Recompute;
  },
): { readonly stateBytes: number; readonly activationBytes: number; readonly logitBytes: number } {
  const tokens = training.microbatch * training.seqLen;
  const blocks = { none: 34 * shape.layers, selective: 22 * shape.layers + 12, full: 2 * shape.layers + 34 }[
    training.recompute
  ];
  return {
    stateBytes: Math.ceil((16 * shape.parameters) / training.gpuCount),
    activationBytes: tokens * shape.width * blocks,
    logitBytes: 6 * tokens * shape.vocabSize,
  };
}
