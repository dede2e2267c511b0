// Which device a recipe or a command means: `auto` is the first GPU where driver, GPU and cuBLASLt are all there, else
// the processor.
import type { Device } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import { type AvailableMemory, availableMemory } from "../recipe/available-memory.ts";
import type { NativeCuda, NativeGpu, NativeMachine } from "./addon.ts";

export type ResolvedDevice = {
  readonly device: Device;
  /** Null on the processor. */
  readonly gpu: NativeGpu | null;
  /** Why it is this one, for a log. */
  readonly how: string;
};

/** `cuda` as `--device` takes it is the first GPU. */
export function readDevice(text: string): Device | "auto" {
  if (text === "auto" || text === "cpu") {
    return text;
  }
  const match = /^cuda(?::(\d{1,3}))?$/.exec(text);
  if (match === null) {
    throw new AppError("BAD_ARGUMENT", `There is no device "${text}"; it is auto, cpu or cuda:0.`);
  }
  return `cuda:${Number(match[1] ?? 0)}`;
}

/** Throws CUDA_NOT_AVAILABLE, with what is missing, where a GPU is asked for by name. */
export function resolveDevice(wanted: Device | "auto", cuda: NativeCuda): ResolvedDevice {
  if (wanted === "cpu") {
    return { device: "cpu", gpu: null, how: "device: cpu." };
  }
  const [first] = cuda.gpus;
  if (wanted === "auto") {
    return cuda.problem === null && first !== undefined
      ? { device: first.id, gpu: first, how: `device: auto is ${first.id}, ${first.name}.` }
      : { device: "cpu", gpu: null, how: `device: auto is cpu: ${cuda.problem ?? "there is no GPU."}` };
  }
  const gpu = cuda.gpus.find(({ id }) => id === wanted);
  if (cuda.problem !== null) {
    throw new AppError("CUDA_NOT_AVAILABLE", cuda.problem);
  }
  if (gpu === undefined) {
    const there = cuda.gpus.map(({ id, name }) => `${id} (${name})`).join(", ");
    throw new AppError("CUDA_NOT_AVAILABLE", `There is no ${wanted} on this machine; it has ${there || "no GPU"}.`);
  }
  return { device: wanted, gpu, how: `device: ${wanted}, ${gpu.name}.` };
}

/** What a plan goes by: it may be made where there is no GPU. */
export function plannedDevice(wanted: Device | "auto", machine: Pick<NativeMachine, "cuda">): ResolvedDevice {
  try {
    return resolveDevice(wanted, machine.cuda);
  } catch (error) {
    if (error instanceof AppError && error.code === "CUDA_NOT_AVAILABLE") {
      return { device: "cpu", gpu: null, how: `${error.message} The plan is for the processor.` };
    }
    throw error;
  }
}

/** The memory that a model on this device may take now. */
export async function deviceMemory({ gpu }: ResolvedDevice): Promise<AvailableMemory> {
  return gpu === null ? availableMemory() : { bytes: gpu.freeBytes, how: `free on ${gpu.name}` };
}
