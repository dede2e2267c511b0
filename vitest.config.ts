import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "src/**/*.test.tsx", "test/{unit,contract,integration}/**/*.test.ts"],
    environment: "node",
    // Figures are compared with the processor's bits: a recipe's `auto` is no GPU here, because there is no such file.
    // test/gpu/run.sh names a GPU.
    env: process.env["ASSAY_TEST_DEVICE"] === undefined ? { ASSAY_CUDA_BACKEND: "none" } : {},
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: integration tests start runners and engines of their own.
    maxWorkers: 2,
  },
});
