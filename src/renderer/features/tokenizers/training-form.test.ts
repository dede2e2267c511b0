import { describe, expect, it } from "vitest";
import { formProblems, protectedWords, trainingProgress } from "./training-form.ts";

const form = {
  name: "bpe-8k",
  inputs: ["/corpus"],
  type: "byte-bpe" as const,
  vocabSize: "8192",
  minFrequency: "2",
  isLowercase: false,
  protect: "",
};

describe("formProblems", () => {
  it("has none for a form that can be trained", () => {
    expect(formProblems(form, new Set())).toEqual({});
  });

  it("says what each field needs", () => {
    const problems = formProblems(
      { ...form, name: "../x", inputs: [], vocabSize: "256", minFrequency: "0" },
      new Set(),
    );
    expect(Object.keys(problems).toSorted()).toEqual(["inputs", "minFrequency", "name", "vocabSize"]);
    expect(problems.vocabSize).toContain("257");
  });

  it("lets the other kinds be smaller than 256 bytes, and reads protected words a line each", () => {
    expect(formProblems({ ...form, type: "wordpiece", vocabSize: "100" }, new Set())).toEqual({});
    expect(formProblems({ ...form, type: "unigram", vocabSize: "8" }, new Set()).vocabSize).toContain("16");
    expect(protectedWords(" probiotic\n\ncytotoxicity\r\nprobiotic")).toEqual(["probiotic", "cytotoxicity"]);
  });

  it("refuses a name that is taken", () => {
    expect(formProblems(form, new Set(["bpe-8k"])).name).toBe("There is a tokenizer bpe-8k already.");
  });
});

describe("trainingProgress", () => {
  it("is determinate when the total is known and never beyond it", () => {
    expect(trainingProgress("merging", 2048, 8192)).toEqual({
      label: "merging: 2\u2009048 of 8\u2009192",
      share: 0.25,
    });
    expect(trainingProgress("merging", 9000, 8192).share).toBe(1);
  });

  it("names what is waited for when the total is not known", () => {
    expect(trainingProgress("saving", 0, null)).toEqual({ label: "saving", share: null });
    expect(trainingProgress("reading", 1200, null)).toEqual({ label: "reading: 1\u2009200", share: null });
  });
});
