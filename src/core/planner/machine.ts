// This machine as the planner sees it. The engine knows it best; without the engine the system's own word serves, so that
// a recipe can be planned before anything native is built.
import os from "node:os";
import { loadAddon } from "../engine/addon.ts";
import type { RateMachine } from "./rate.ts";

export type PlannerMachine = RateMachine & { readonly memoryBytes: number };

export function readMachine(): PlannerMachine {
  const cpus = os.cpus();
  const clockGhz = (cpus[0]?.speed ?? 0) / 1000;
  try {
    const { cpuModel, physicalCores, isa, gemm, memoryBytes } = loadAddon().machine();
    return { cpuModel, physicalCores, isa, gemm, memoryBytes, clockGhz };
  } catch {
    return {
      cpuModel: cpus[0]?.model ?? "unknown",
      physicalCores: os.availableParallelism(),
      isa: [],
      gemm: "portable",
      memoryBytes: os.totalmem(),
      clockGhz,
    };
  }
}
