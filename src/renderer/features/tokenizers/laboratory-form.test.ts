import { describe, expect, it } from "vitest";
import { comparisonProblem, shortPath, termsOf } from "./laboratory-form.ts";

const form = { tokenizers: ["gpt2"], inputs: [], iobFiles: [], terms: "", topEntities: "0" };

describe("the comparison's form", () => {
  it("takes a term a line, each as a word within a sentence, once", () => {
    expect(termsOf("probiotic\r\n\n cytotoxicity\nprobiotic")).toEqual([" probiotic", " cytotoxicity"]);
  });

  it("says what is missing", () => {
    expect(comparisonProblem({ ...form, tokenizers: [] })).toMatch(/at least one tokenizer/);
    expect(comparisonProblem(form)).toMatch(/texts, annotated entities or terms/);
    expect(comparisonProblem({ ...form, terms: "x" })).toBeNull();
    expect(comparisonProblem({ ...form, iobFiles: ["a"], topEntities: "many" })).toMatch(/0 to 5000/);
    expect(comparisonProblem({ ...form, tokenizers: Array.from({ length: 13 }, String) })).toMatch(/at most twelve/);
  });

  it("shortens a path to what tells data sets apart", () => {
    expect(shortPath("/data/ner/BC5CDR-chem/train.tsv")).toBe("BC5CDR-chem/train.tsv");
    expect(shortPath("train.tsv")).toBe("train.tsv");
  });
});
