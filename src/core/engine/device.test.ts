import { describe, expect, it } from "vitest";
import type { NativeCuda, NativeGpu } from "./addon.ts";
import { deviceMemory, plannedDevice, readDevice, resolveDevice } from "./device.ts";

const gpu = (index: number, name: string): NativeGpu => ({
  id: `cuda:${index}`,
  name,
  memoryBytes: 80e9,
  freeBytes: 70e9,
  computeCapability: "9.0",
});

const withGpus: NativeCuda = {
  driverVersion: "13.0",
  gpus: [gpu(0, "NVIDIA H200"), gpu(1, "NVIDIA L4")],
  cublasltPath: "/usr/lib/libcublasLt.so.13",
  backendPath: "/opt/assay/libassay-cuda.so",
  problem: null,
};
const withoutLibrary: NativeCuda = { ...withGpus, cublasltPath: null, problem: "cuBLASLt was not found; install it." };
const without: NativeCuda = { ...withoutLibrary, driverVersion: null, gpus: [], problem: "There is no NVIDIA driver." };

describe("readDevice", () => {
  it("takes cuda for the first GPU, and refuses what is no device", () => {
    expect(["auto", "cpu", "cuda", "cuda:3"].map(readDevice)).toEqual(["auto", "cpu", "cuda:0", "cuda:3"]);
    for (const wrong of ["gpu", "cuda:", "cuda:x", "CUDA:0", "cuda:-1", ""]) {
      expect(() => readDevice(wrong)).toThrow(`There is no device "${wrong}"; it is auto, cpu or cuda:0.`);
    }
  });
});

describe("resolveDevice", () => {
  it("takes the first GPU for auto where nothing is missing, else the processor, and says why", () => {
    expect(resolveDevice("auto", withGpus)).toMatchObject({ device: "cuda:0", gpu: { name: "NVIDIA H200" } });
    expect(resolveDevice("auto", withGpus).how).toBe("device: auto is cuda:0, NVIDIA H200.");
    expect(resolveDevice("auto", withoutLibrary)).toEqual({
      device: "cpu",
      gpu: null,
      how: "device: auto is cpu: cuBLASLt was not found; install it.",
    });
    expect(resolveDevice("auto", without).device).toBe("cpu");
    expect(resolveDevice("cpu", withGpus)).toMatchObject({ device: "cpu", gpu: null });
  });

  it("refuses a GPU that is asked for and cannot be used, with what is missing", () => {
    expect(resolveDevice("cuda:1", withGpus).gpu?.name).toBe("NVIDIA L4");
    const code = { code: "CUDA_NOT_AVAILABLE" };
    expect(() => resolveDevice("cuda:0", without)).toThrow(
      expect.objectContaining({ ...code, message: without.problem }),
    );
    expect(() => resolveDevice("cuda:2", withGpus)).toThrow(
      expect.objectContaining({
        ...code,
        message: "There is no cuda:2 on this machine; it has cuda:0 (NVIDIA H200), cuda:1 (NVIDIA L4).",
      }),
    );
  });
});

describe("plannedDevice", () => {
  it("plans for the processor, and says so, where the GPU is on another machine", () => {
    expect(plannedDevice("cuda:0", { cuda: without })).toEqual({
      device: "cpu",
      gpu: null,
      how: "There is no NVIDIA driver. The plan is for the processor.",
    });
    expect(plannedDevice("cuda:1", { cuda: withGpus }).device).toBe("cuda:1");
  });
});

describe("deviceMemory", () => {
  it("is what is free on the GPU, or in the machine", async () => {
    expect(await deviceMemory(resolveDevice("cuda:1", withGpus))).toEqual({ bytes: 70e9, how: "free on NVIDIA L4" });
    expect((await deviceMemory(resolveDevice("cpu", withGpus))).bytes).toBeGreaterThan(0);
  });
});
