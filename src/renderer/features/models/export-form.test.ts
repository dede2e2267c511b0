import { describe, expect, it } from "vitest";
import { exportForm, exportName, formatsOf, parseExport } from "./export-form.ts";

const form = exportForm("/home/w/runs/20261121-063026-biomedlm-tiny-ef25/checkpoints/step-450");

describe("exportName", () => {
  it("tells what it was made from", () => {
    expect(form.name).toBe("biomedlm-tiny-step-450");
    expect(exportName("/models/BioMedLM/")).toBe("BioMedLM");
    expect(exportName("C:\\models\\my model.gguf")).toBe("my-model");
    expect(exportName("/…")).toBe("model");
  });
});

describe("parseExport", () => {
  it("writes a folder of safetensors and a file of GGUF into the workspace, or where asked", () => {
    expect(parseExport(form, "/w/exports")).toEqual({
      input: { format: "safetensors", precision: "f32", shardBytes: null, target: "/w/exports/biomedlm-tiny-step-450" },
    });
    expect(
      parseExport({ ...form, format: "gguf", precision: "q8_0", parent: "/usb", shardGigabytes: "2" }, "/w"),
    ).toEqual({
      input: { format: "gguf", precision: "q8_0", shardBytes: null, target: "/usb/biomedlm-tiny-step-450.gguf" },
    });
    expect(parseExport({ ...form, shardGigabytes: "0,5" }, "/w")).toMatchObject({ input: { shardBytes: 5e8 } });
  });

  it("says what does not fit", () => {
    for (const change of [{ name: "../out" }, { name: "" }, { shardGigabytes: "many" }, { shardGigabytes: "1e-9" }]) {
      expect(parseExport({ ...form, ...change }, "/w")).toHaveProperty("problem");
    }
  });
});

describe("formatsOf", () => {
  it("offers GGUF for what llama.cpp runs and PEFT for what has an adapter", () => {
    const values = (model: Parameters<typeof formatsOf>[0]): readonly string[] =>
      formatsOf(model).map(({ value }) => value);
    expect(values({ family: "gpt2", head: "causal-lm", adapter: null })).toEqual(["safetensors", "gguf"]);
    expect(values({ family: "bert", head: "masked-lm", adapter: null })).toEqual(["safetensors"]);
    expect(values({ family: "bert", head: "masked-lm", adapter: { base: "/b", rank: 4, targets: ["query"] } })).toEqual(
      ["safetensors", "peft"],
    );
  });
});
