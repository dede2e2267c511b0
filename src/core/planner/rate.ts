// How fast training will go: as measured in earlier runs on this machine where there are any, otherwise from what the
// processor could do at best. Says which, with its numbers.
import type { NativeMachine } from "../engine/addon.ts";
import { type GpuPeak, USUAL_MFU } from "./gpus.ts";

export type MeasuredRate = {
  readonly tokensPerSecond: number;
  readonly flopsPerToken: number;
  /** Same shape, context, batch and threads; otherwise only its arithmetic rate carries over. */
  readonly isSameShape: boolean;
  readonly runName: string;
};

export type RateMachine = Pick<NativeMachine, "cpuModel" | "physicalCores" | "isa" | "gemm"> & {
  /** Of one core; 0 where the system does not say. */
  readonly clockGhz: number;
};

export type Rate = { readonly tokensPerSecond: number; readonly basis: "measured" | "estimated"; readonly how: string };

/** What training reaches of the processor's best, as a rule. Assumed, until a run has measured it. */
const reachedShare = { onednn: 0.5, portable: 0.25 } as const;
const USUAL_CLOCK_GHZ = 2.5;

function flopsPerCycle(isa: readonly string[]): number {
  const has = (pattern: RegExp) => isa.some((each) => pattern.test(each));
  // Two multiply-adds of eight fp32 lanes a cycle; processors with two full 512-bit units do twice that.
  return has(/avx2|avx512/i) ? 32 : has(/neon|asimd/i) ? 16 : 8;
}

export function giga(value: number): string {
  return (value / 1e9).toPrecision(3);
}

export function estimateRate(options: {
  readonly machine: RateMachine;
  readonly threads: number;
  readonly flopsPerToken: number;
  readonly measured: MeasuredRate | null;
  /** Where it is one of the planner's table, and the number format; null on the processor. */
  readonly gpu?: GpuPeak | null;
}): Rate {
  const { machine, threads, flopsPerToken, measured, gpu = null } = options;
  if (measured?.isSameShape === true) {
    return {
      tokensPerSecond: measured.tokensPerSecond,
      basis: "measured",
      how: `${Math.round(measured.tokensPerSecond)} tokens a second were measured in the run ${measured.runName}, of this shape on this machine.`,
    };
  }
  if (measured !== null) {
    const flops = measured.tokensPerSecond * measured.flopsPerToken;
    const tokensPerSecond = flops / flopsPerToken;
    return {
      tokensPerSecond,
      basis: "estimated",
      how: `The run ${measured.runName}, of another shape, made ${giga(flops)} GFLOP/s on this machine; at ${giga(flopsPerToken)} GFLOP a token that is ${Math.round(tokensPerSecond)} tokens a second.`,
    };
  }
  if (gpu !== null) {
    const tokensPerSecond = (gpu.flopsPerSecond * USUAL_MFU) / flopsPerToken;
    return {
      tokensPerSecond,
      basis: "estimated",
      how: `No run has been measured on this machine's ${gpu.title} yet: ${gpu.flopsPerSecond / 1e12} TFLOP/s at best, of which ${Math.round(100 * USUAL_MFU)} % is assumed; at ${giga(flopsPerToken)} GFLOP a token that is ${Math.round(tokensPerSecond)} tokens a second.`,
    };
  }
  const cores = Math.min(threads, Math.max(1, machine.physicalCores));
  const clock = machine.clockGhz > 0 ? machine.clockGhz : USUAL_CLOCK_GHZ;
  const peak = cores * flopsPerCycle(machine.isa) * clock * 1e9;
  const share = reachedShare[machine.gemm];
  const tokensPerSecond = (peak * share) / flopsPerToken;
  return {
    tokensPerSecond,
    basis: "estimated",
    how: `No run has been measured on this machine yet: ${cores} cores × ${flopsPerCycle(machine.isa)} operations a cycle × ${clock.toFixed(1)} GHz = ${giga(peak)} GFLOP/s at best, of which ${Math.round(share * 100)} % is assumed; at ${giga(flopsPerToken)} GFLOP a token that is ${Math.round(tokensPerSecond)} tokens a second.`,
  };
}
