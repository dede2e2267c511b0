// The window's tests: the built app in the real Electron, one window after another, under a display (xvfb-run gives one).
// Run by `npm run test:e2e`; alone: xvfb-run -a npx playwright test -c test/e2e/playwright.config.ts
import path from "node:path";
import { defineConfig } from "@playwright/test";

const results = path.resolve(import.meta.dirname, "../../build/test-results");

export default defineConfig({
  testDir: import.meta.dirname,
  testMatch: "*.spec.ts",
  outputDir: path.join(results, "e2e"),
  // Training takes both cores of a small machine: side by side, tests would only wait for each other.
  workers: 1,
  fullyParallel: false,
  retries: 0,
  forbidOnly: true,
  // Generous, since these bound work and not speed: a shared machine may be ten times slower than a quiet one.
  timeout: 180_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: { trace: "off" },
});
