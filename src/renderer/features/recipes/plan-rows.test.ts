import { describe, expect, it } from "vitest";
import type { Forecast } from "#shared/ipc/recipes.contract";
import { bytesQuantity, countQuantity, flopsQuantity, forecastSentence, planRows } from "./plan-rows.ts";

const figure = (value: number) => ({ value, how: `how ${value}` });
const forecast: Forecast = {
  parameters: figure(3_749_632),
  trainableParameters: figure(3_749_632),
  precision: "fp32",
  tokensTotal: figure(300e9),
  steps: figure(286_103),
  flopsPerToken: figure(16.6e9),
  memoryBytes: figure(312e6),
  diskBytes: figure(45.04e6),
  download: null,
  tokensPerSecond: figure(4812.4),
  seconds: figure(96),
  basis: "estimated",
};

describe("planRows", () => {
  it("gives each figure its unit and the arithmetic it opens", () => {
    const rows = planRows(forecast).map((row) => [row.label, `${row.value} ${row.unit}`.trim()]);
    expect(rows).toEqual([
      ["parameters", "3.75 M"],
      ["tokens", "300 B"],
      ["steps", "286\u2009103"],
      ["FLOPs a token", "16.6 GFLOP"],
      ["memory, fp32", "312 MB"],
      ["disk", "45.0 MB"],
      ["rate", "4\u2009812 tok/s"],
      ["time", "1\u2009min 36\u2009s"],
    ]);
    expect(planRows(forecast).every((row) => row.how.startsWith("how "))).toBe(true);
  });

  it("says how many of the parameters are trained where not all are", () => {
    const rows = planRows({ ...forecast, trainableParameters: figure(32_768), precision: "amp_bf16" });
    expect(rows[1]).toMatchObject({ label: "trained of them", value: "32.8", unit: "k" });
    expect(rows.some((row) => row.label === "memory, amp_bf16")).toBe(true);
  });

  it("tells what a stream downloads, or that nobody asked", () => {
    const rowOf = (download: Forecast["download"]) =>
      planRows({ ...forecast, download }).find((row) => row.key === "download");
    expect(rowOf(figure(2.5e9))).toMatchObject({ value: "2.50", unit: "GB", how: "how 2500000000" });
    expect(rowOf({ value: null, how: "not yet" })).toMatchObject({ value: "not asked", how: "not yet" });
  });

  it("keeps a slow rate's digits", () => {
    const rows = planRows({ ...forecast, tokensPerSecond: figure(7.31) });
    expect(rows.find((row) => row.key === "tokensPerSecond")?.value).toBe("7.3");
  });
});

describe("quantities", () => {
  it("step up where three digits would round to a thousand", () => {
    expect([countQuantity(999_700), bytesQuantity(999.9e6), flopsQuantity(999.9e3)]).toEqual([
      { value: "1.00", unit: "M" },
      { value: "1.00", unit: "GB" },
      { value: "1.00", unit: "MFLOP" },
    ]);
  });
});

describe("forecastSentence", () => {
  it("says time, memory and disk", () => {
    expect(forecastSentence(forecast).replaceAll("\u2009", " ")).toBe("about 1 min 36 s, 312 MB memory, 45.0 MB disk");
  });
});
