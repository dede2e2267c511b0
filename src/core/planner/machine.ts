// This machine as the planner sees it. The engine knows it best; without the engine the system's own word serves, so that
// a recipe can be planned before anything native is built.
import os from "node:os";
import { loadAddon, type NativeCuda, type NativeMachine } from "../engine/addon.ts";
import type { RateMachine } from "./rate.ts";

export type PlannerMachine = RateMachine & Pick<NativeMachine, "cuda"> & { readonly memoryBytes: number };

/** Of a machine that nobody has asked for its GPUs. */
export const noCuda: NativeCuda = {
  driverVersion: null,
  gpus: [],
  cublasltPath: null,
  backendPath: null,
  problem: "The engine is not built, and it is what finds GPUs.",
};

export function readMachine(): PlannerMachine {
  const cpus = os.cpus();
  const clockGhz = (cpus[0]?.speed ?? 0) / 1000;
  try {
    const { cpuModel, physicalCores, isa, gemm, memoryBytes, cuda } = loadAddon().machine();
    return { cpuModel, physicalCores, isa, gemm, memoryBytes, cuda, clockGhz };
  } catch {
    return {
      cpuModel: cpus[0]?.model ?? "unknown",
      physicalCores: os.availableParallelism(),
      isa: [],
      gemm: "portable",
      memoryBytes: os.totalmem(),
      cuda: noCuda,
      clockGhz,
    };
  }
}
