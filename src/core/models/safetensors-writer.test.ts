import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toBf16, toHalf } from "./floats.ts";
import { halfToNumber } from "./gguf/reader.ts";
import { planShards, writeSafetensors } from "./safetensors-writer.ts";

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;

/** The half nearest to a number, found by trying all of them: ties to the even one. */
function nearestHalf(value: number): number {
  let best = 0;
  for (let bits = 0; bits < 0x7c00; bits += 1) {
    const gap = Math.abs(halfToNumber(bits) - Math.abs(value));
    const bestGap = Math.abs(halfToNumber(best) - Math.abs(value));
    if (gap < bestGap || (gap === bestGap && bits % 2 === 0)) {
      best = bits;
    }
  }
  return value < 0 || Object.is(value, -0) ? best | 0x8000 : best;
}

describe("narrower floats", () => {
  it("round to the nearest half, ties to even, subnormal ones too", () => {
    const values = [
      0,
      -0,
      1,
      -1,
      0.1,
      1 / 3,
      1e-5,
      6e-8,
      3e-8,
      2 ** -25,
      2 ** -24,
      2 ** -14,
      2 ** -14 - 2 ** -26,
      65_504,
      65_519,
    ];
    for (let exponent = -26; exponent < 15; exponent += 1) {
      values.push(Math.fround(1.2345 * 2 ** exponent), (1 + 1 / 2048) * 2 ** exponent, (1 + 3 / 2048) * 2 ** exponent);
    }
    for (const value of values) {
      expect(toHalf(bitsOf(value)), String(value)).toBe(nearestHalf(Math.fround(value)));
    }
    expect(toHalf(bitsOf(65_520))).toBe(0x7c00);
    expect(toHalf(bitsOf(-Infinity))).toBe(0xfc00);
    expect(halfToNumber(toHalf(bitsOf(Number.NaN)))).toBeNaN();
  });

  it("keep every half that is one already", () => {
    for (let bits = 0; bits <= 0x7c00; bits += 1) {
      expect(toHalf(bitsOf(halfToNumber(bits)))).toBe(bits);
    }
  });

  it("round to the nearest bf16, ties to even, and keep NaN", () => {
    expect(toBf16(0x3f800000)).toBe(0x3f80);
    expect(toBf16(0x3f808000)).toBe(0x3f80);
    expect(toBf16(0x3f818000)).toBe(0x3f82);
    expect(toBf16(0x3f808001)).toBe(0x3f81);
    expect(toBf16(0x7f7fffff)).toBe(0x7f80);
    expect(toBf16(0x7f800001) & 0x7f).not.toBe(0);
    expect(toBf16(0xbf800000)).toBe(0xbf80);
  });
});

describe("safetensors", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "assay-shards-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const tensors = [
    { name: "a", shape: [4, 5] },
    { name: "b", shape: [3] },
    { name: "c", shape: [100] },
    { name: "d", shape: [1] },
  ];
  const read = async (name: string): Promise<Float32Array> => {
    const tensor = tensors.find((each) => each.name === name);
    return new Float32Array(tensor?.shape.reduce((x, y) => x * y, 1) ?? 0).fill(name.charCodeAt(0));
  };

  it("fall into files of at most the size that is asked for, in order", () => {
    const names = (largest: number | null) =>
      planShards(tensors, "f32", largest).map((shard) => shard.tensors.map(({ name }) => name).join(""));
    expect(names(null)).toEqual(["abcd"]);
    expect(names(92)).toEqual(["ab", "c", "d"]);
    expect(names(91)).toEqual(["a", "b", "c", "d"]);
    expect(names(408)).toEqual(["ab", "cd"]);
    expect(planShards(tensors, "f16", 46).map(({ name }) => name)).toEqual([
      "model-00001-of-00003.safetensors",
      "model-00002-of-00003.safetensors",
      "model-00003-of-00003.safetensors",
    ]);
  });

  it("come with an index that names the file of every tensor", async () => {
    const files = await writeSafetensors({ folder, tensors, type: "bf16", largestBytes: 50, read });
    expect((await readdir(folder)).toSorted()).toEqual([...files].toSorted());
    const index: unknown = JSON.parse(await readFile(path.join(folder, "model.safetensors.index.json"), "utf8"));
    expect(index).toEqual({
      metadata: { total_size: 248 },
      weight_map: {
        a: "model-00001-of-00003.safetensors",
        b: "model-00001-of-00003.safetensors",
        c: "model-00002-of-00003.safetensors",
        d: "model-00003-of-00003.safetensors",
      },
    });
    const bytes = await readFile(path.join(folder, "model-00001-of-00003.safetensors"));
    const headerLength = Number(bytes.readBigUInt64LE());
    expect(headerLength % 8).toBe(0);
    expect(JSON.parse(bytes.subarray(8, 8 + headerLength).toString())).toEqual({
      __metadata__: { format: "pt" },
      a: { dtype: "BF16", shape: [4, 5], data_offsets: [0, 40] },
      b: { dtype: "BF16", shape: [3], data_offsets: [40, 46] },
    });
    expect(bytes.length).toBe(8 + headerLength + 46);
    expect(bytes.readUInt16LE(8 + headerLength)).toBe(toBf16(bitsOf(97)));
  });

  it("refuse a value that a half cannot hold, by the tensor's name, and leave no file", async () => {
    const large = async (name: string): Promise<Float32Array> => (await read(name)).fill(1e5);
    await expect(
      writeSafetensors({ folder, tensors, type: "f16", largestBytes: null, read: large }),
    ).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringMatching(/^a holds 100000/),
    });
    expect(await readdir(folder)).toEqual([]);
  });
});
