// What the status line and the planner call "this machine", in the contract's words.
import type { z } from "zod";
import { loadAddon } from "#core/engine/addon";
import type { machineSchema } from "#shared/ipc/app.contract";

export function machineFacts(): z.infer<typeof machineSchema> {
  const machine = loadAddon().machine();
  return {
    cpuModel: machine.cpuModel,
    threads: machine.physicalCores,
    isa: [...machine.isa],
    gemm: machine.gemm,
    memoryBytes: machine.memoryBytes,
    gpus: machine.cuda.problem === null ? machine.cuda.gpus.map(({ name }) => name) : [],
  };
}
