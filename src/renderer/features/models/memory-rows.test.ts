import { describe, expect, it } from "vitest";
import type { MemoryColumn } from "#shared/domain/model";
import { fitText, memoryGroups } from "./memory-rows.ts";

const figure = (value: number) => ({ value, how: `${value} of it.` });

function column(precision: MemoryColumn["precision"], train: number | null, run: number): MemoryColumn {
  const part = figure(1);
  return {
    precision,
    train:
      train === null
        ? null
        : {
            trainableParameters: part,
            weights: part,
            gradients: part,
            optimizer: part,
            activations: part,
            workspace: part,
            total: figure(train),
          },
    run: { weights: part, cache: part, workspace: part, total: figure(run) },
  };
}

const columns = [column("fp32", 60e9, 11e9), column("lora-bf16", 20e9, 6e9), column("int8", null, 3e9)];

describe("memoryGroups", () => {
  it("puts each total first and leaves out what a form does not have", () => {
    const [train, run] = memoryGroups(columns);
    expect(train?.rows[0]).toMatchObject({ label: "to train", isTotal: true });
    expect(train?.rows[0]?.cells.map((cell) => cell?.value ?? null)).toEqual([60e9, 20e9, null]);
    expect(run?.rows.map(({ label }) => label)).toEqual(["to run", "weights", "keys and values", "work space"]);
  });
});

describe("fitText", () => {
  it("says what this machine has room for", () => {
    expect(fitText(columns, 25e9)).toBe(
      "This computer has 25.0\u2009GB: enough to run it, and to train it as LoRA on bf16.",
    );
    expect(fitText(columns, 5e9)).toBe(
      "This computer has 5.00\u2009GB: enough to run it as int8, not to train it like this.",
    );
    expect(fitText(columns, 1e9)).toBe("This computer has 1.00\u2009GB: too little to run it in any of these forms.");
    expect(fitText(columns, 1e12)).toBe("This computer has 1.00\u2009TB: enough to run it, and to train it.");
  });
});
