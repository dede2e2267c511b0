import { describe, expect, it } from "vitest";
import { tokenizerLabel, tokenizerPlace } from "./tokenizer-label.ts";

describe("tokenizerLabel", () => {
  it("calls a run's tokenizer by the run's name and says when the run was", () => {
    const info = { name: "20261121-054047-biomedlm-tiny-d291", origin: "run" } as const;
    expect(tokenizerLabel(info)).toBe("biomedlm-tiny");
    expect(tokenizerPlace(info)).toBe("of the run of 2026-11-21 05:40");
  });

  it("leaves other names as they are", () => {
    expect(tokenizerLabel({ name: "20261121-054047-x-d291", origin: "workspace" })).toBe("20261121-054047-x-d291");
    expect(tokenizerPlace({ name: "odd", origin: "run" })).toBe("of the run odd");
  });
});
