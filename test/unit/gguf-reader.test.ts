import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { halfToNumber, readGgufHeader, readGgufTensor } from "#core/models/gguf/reader";
import { buildGguf, f32s, u64 } from "../support/gguf.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-gguf-"));
  file = path.join(folder, "model.gguf");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const metadata = {
  "general.architecture": { type: "string", value: "gpt2" },
  "gpt2.block_count": { type: "u32", value: 2 },
  "gpt2.epsilon": { type: "f32", value: 0.5 },
  "tokenizer.add": { type: "bool", value: true },
  "tokenizer.tokens": { type: "strings", value: ["a", "β", ""] },
  "tokenizer.types": { type: "i32s", value: [1, -1, 3] },
} as const;

function half(values: readonly number[]): Buffer {
  return Buffer.from(Uint16Array.from(values).buffer);
}

/** A block of 32 values: the scale as a half, then the steps. */
function q8(scale: number, steps: (index: number) => number): Buffer {
  return Buffer.concat([half([scale]), Buffer.from(Int8Array.from({ length: 32 }, (_, index) => steps(index)).buffer)]);
}

const tensors = [
  { name: "f32", shape: [2, 3], type: 0, data: f32s([1, 2, 3, 4, 5, 6]) },
  { name: "f16", shape: [4], type: 1, data: half([0x3c00, 0xc000, 0x0001, 0x7bff]) },
  { name: "bf16", shape: [2], type: 30, data: half([0x3f80, 0xc040]) },
  { name: "q8", shape: [2, 32], type: 8, data: Buffer.concat([q8(0x3800, (i) => i), q8(0xbc00, (i) => -i - 1)]) },
];

describe("a GGUF file", () => {
  it("is read: metadata of every kind, and tensors of every type as fp32", async () => {
    await writeFile(file, buildGguf(metadata, tensors));
    const header = readGgufHeader(file);
    expect(Object.fromEntries(header.metadata)).toEqual({
      "general.architecture": "gpt2",
      "gpt2.block_count": 2,
      "gpt2.epsilon": 0.5,
      "tokenizer.add": true,
      "tokenizer.tokens": ["a", "β", ""],
      "tokenizer.types": [1, -1, 3],
    });
    expect(header.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual([
      { name: "f32", dtype: "F32", shape: [2, 3] },
      { name: "f16", dtype: "F16", shape: [4] },
      { name: "bf16", dtype: "BF16", shape: [2] },
      { name: "q8", dtype: "Q8_0", shape: [2, 32] },
    ]);
    const [first, second, third, fourth] = header.tensors.map((tensor) => [...readGgufTensor(header, tensor)]);
    expect(first).toEqual([1, 2, 3, 4, 5, 6]);
    expect(second).toEqual([1, -2, 2 ** -24, 65_504]);
    expect(third).toEqual([1, -3]);
    expect(fourth).toEqual([
      ...Array.from({ length: 32 }, (_, i) => i / 2),
      ...Array.from({ length: 32 }, (_, i) => i + 1),
    ]);
  });

  it("that was cut anywhere is refused, whatever byte is the last", async () => {
    const whole = buildGguf(metadata, tensors);
    const lastByte = whole.length - 32 + 4;
    for (let length = 0; length < lastByte; length += length < 700 ? 1 : 7) {
      await writeFile(file, whole.subarray(0, length));
      expect(() => readGgufHeader(file), `${length} bytes`).toThrow(
        expect.objectContaining({ code: "GGUF_DAMAGED" }) as Error,
      );
    }
  });

  it("whose lengths and counts lie is refused before memory is taken for them", async () => {
    const huge = [2n ** 63n, 2n ** 60n, 2n ** 40n, 2n ** 31n];
    const whole = buildGguf(metadata, tensors);
    const at = (needle: string): number => whole.indexOf(needle);
    for (const value of huge) {
      for (const [what, position] of [
        ["tensor count", 8],
        ["entry count", 16],
        ["length of a key", 24],
        ["length of a value", at("general.architecture") + 20 + 4],
        ["count of an array", at("tokenizer.tokens") + 16 + 8],
        ["length in an array", at("tokenizer.tokens") + 16 + 16],
        ["length of a tensor's name", at("f32\u0002") - 8],
        ["extent of a tensor", at("f32\u0002") + 3 + 4],
        ["offset of a tensor", at("f32\u0002") + 3 + 4 + 16 + 4],
      ] as const) {
        const lying = Buffer.from(whole);
        u64(value).copy(lying, position);
        await writeFile(file, lying);
        expect(() => readGgufHeader(file), `${what} ${value}`).toThrow(
          expect.objectContaining({ code: "GGUF_DAMAGED" }) as Error,
        );
      }
    }
  });

  it("never ends in anything but a sentence, whichever byte is another", async () => {
    const whole = buildGguf(metadata, tensors);
    let refused = 0;
    for (let position = 0; position < whole.length; position += 1) {
      const changed = Buffer.from(whole);
      changed[position] = (changed[position] ?? 0) ^ (1 << (position % 8));
      await writeFile(file, changed);
      try {
        const header = readGgufHeader(file);
        for (const tensor of header.tensors) {
          readGgufTensor(header, tensor);
        }
      } catch (error) {
        refused += 1;
        expect(error).toMatchObject({ code: expect.stringMatching(/^(GGUF_DAMAGED|NOT_SUPPORTED)$/) });
      }
    }
    expect(refused).toBeGreaterThan(50);
  });

  it("with a type that is not read is listed, and its tensors refused by name", async () => {
    await writeFile(file, buildGguf({}, [{ name: "q4", shape: [32], type: 2, data: Buffer.alloc(18) }]));
    const header = readGgufHeader(file);
    const [tensor] = header.tensors;
    expect(tensor?.dtype).toBe("type 2");
    expect(() => tensor && readGgufTensor(header, tensor)).toThrow(/q4.*type 2/);
  });

  it("that names a tensor twice, or is none, is refused", async () => {
    const [one] = tensors;
    await writeFile(file, buildGguf({}, one === undefined ? [] : [one, one]));
    expect(() => readGgufHeader(file)).toThrow(/same name/);
    await writeFile(file, "GGML and some more bytes, enough of them");
    expect(() => readGgufHeader(file)).toThrow(/does not begin with GGUF/);
    expect(() => readGgufHeader(path.join(folder, "absent"))).toThrow(
      expect.objectContaining({ code: "FILE_NOT_FOUND" }) as Error,
    );
  });

  it("reads halves as IEEE defines them", () => {
    expect([0x0000, 0x3c00, 0x3555, 0x0400, 0x03ff, 0x7c00].map(halfToNumber)).toEqual([
      0,
      1,
      0.333251953125,
      2 ** -14,
      1023 * 2 ** -24,
      Infinity,
    ]);
    expect(Object.is(halfToNumber(0x8000), -0)).toBe(true);
    expect(halfToNumber(0x7e00)).toBeNaN();
  });
});
