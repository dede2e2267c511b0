import { describe, expect, it } from "vitest";
import type { LintFinding } from "#shared/domain/model";
import { comparisonText, dtypesText, findTensors, lintSummary, modelLabel, sortFindings } from "./model-words.ts";

const tensors = [
  { name: "transformer.h.10.attn.c_attn.weight", dtype: "F32", shape: [4, 12], sizeBytes: 192 },
  { name: "transformer.h.2.attn.c_attn.weight", dtype: "F16", shape: [4, 12], sizeBytes: 96 },
  { name: "transformer.wte.weight", dtype: "F32", shape: [100, 4], sizeBytes: 1600 },
];
const names = (found: readonly { readonly name: string }[]): readonly string[] => found.map(({ name }) => name);

describe("findTensors", () => {
  it("takes words in any order, of names, types and shapes", () => {
    expect(names(findTensors(tensors, "C_ATTN f16", "file"))).toEqual(["transformer.h.2.attn.c_attn.weight"]);
    expect(names(findTensors(tensors, "100×4", "file"))).toEqual(["transformer.wte.weight"]);
    expect(findTensors(tensors, "bert", "file")).toEqual([]);
    expect(findTensors(tensors, "  ", "file")).toEqual(tensors);
  });

  it("sorts layers as numbers, and by size", () => {
    expect(names(findTensors(tensors, "attn", "name"))[0]).toBe("transformer.h.2.attn.c_attn.weight");
    expect(names(findTensors(tensors, "", "size"))[0]).toBe("transformer.wte.weight");
  });
});

describe("words for models", () => {
  it("names what most bytes are kept as first", () => {
    expect(dtypesText(tensors)).toBe("F32 and F16");
    expect(modelLabel({ name: "tiny", step: 1200 })).toBe("tiny, step 1\u2009200");
  });

  it("says whether model and tokenizer fit, the gravest finding first", () => {
    const finding = (severity: LintFinding["severity"]): LintFinding => ({
      code: severity,
      severity,
      message: severity,
    });
    expect(lintSummary([finding("note")])).toBe("They fit each other.");
    expect(lintSummary([finding("warning")])).toBe("They may fit, with 1 warning.");
    expect(lintSummary([finding("warning"), finding("error"), finding("warning")])).toBe(
      "They do not fit: 1 error, 2 warnings.",
    );
    expect(sortFindings([finding("note"), finding("warning"), finding("error")]).map(({ code }) => code)).toEqual([
      "error",
      "warning",
      "note",
    ]);
  });

  it("says what reading an export back has shown", () => {
    const result = { path: "/x", files: [] };
    expect(
      comparisonText({ ...result, comparison: { tokens: 9, maxDifference: 0, tolerance: 1e-5, sameTopToken: 9 } }),
    ).toContain("equal to the bit");
    expect(
      comparisonText({ ...result, comparison: { tokens: 9, maxDifference: 2e-3, tolerance: 1e-2, sameTopToken: 8 } }),
    ).toBe(
      "Read back and compared: its logits differ by at most 2.0e-3 (1e-2 is allowed), and the likeliest token is the same at 8 of 9 positions.",
    );
  });
});
