// Pre-tokenized MDS shards through the addon: written by our writer, read where they lie, and trained on with the bits
// that the same tokens give out of a token cache.
import { readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { MdsValue } from "#core/corpus/mds/encodings";
import { readMdsIndex } from "#core/corpus/mds/index-file";
import { tokenShardOf } from "#core/corpus/mds/token-shard";
import { MdsWriter } from "#core/corpus/mds/writer";
import { loadAddon, type NativeMasking, type NativeTokenShard, type NativeTrainingOptions } from "#core/engine/addon";
import { windowOfSample } from "#shared/domain/data-order";
import {
  someDocuments,
  TINY_END_OF_TEXT,
  TINY_VOCABULARY,
  tinyConfig,
  tinyTraining,
  writeTokenCache,
} from "../support/engine.ts";
import { temporaryFolder } from "../support/workspace.ts";

const addon = loadAddon();
const documents = someDocuments(30).map((document) => [...document, TINY_END_OF_TEXT]);
const tokens = documents.flat();

type Ids = Uint16Array | Uint32Array | Int32Array | BigInt64Array;
const asBytes = (ids: Ids) => new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
const as64 = (ids: readonly number[]) => BigInt64Array.from(ids, BigInt);

/** How a sample is stored, by the column's encoding and the width of plain bytes. */
const kinds: readonly (readonly [string, 2 | 4 | 8, (ids: readonly number[]) => MdsValue])[] = [
  ["bytes", 2, (ids) => asBytes(Uint16Array.from(ids))],
  ["bytes", 4, (ids) => asBytes(Uint32Array.from(ids))],
  ["bytes", 8, (ids) => asBytes(as64(ids))],
  ["ndarray:uint16", 8, (ids) => ({ dtype: "uint16", shape: [ids.length], bytes: asBytes(Uint16Array.from(ids)) })],
  ["ndarray:uint32", 8, (ids) => ({ dtype: "uint32", shape: [ids.length], bytes: asBytes(Uint32Array.from(ids)) })],
  ["ndarray:int32", 8, (ids) => ({ dtype: "int32", shape: [ids.length], bytes: asBytes(Int32Array.from(ids)) })],
  ["ndarray:int64", 8, (ids) => ({ dtype: "int64", shape: [ids.length], bytes: asBytes(as64(ids)) })],
];

async function writeShard(
  directory: string,
  encoding: string,
  tokenBytes: 2 | 4 | 8,
  samples: readonly MdsValue[],
): Promise<NativeTokenShard> {
  const writer = await MdsWriter.create({
    directory,
    columns: { tokens: encoding, id: "int32", source: "str" },
    compression: null,
    hashes: [],
    sizeLimitBytes: 2 ** 26,
  });
  for (const [id, value] of samples.entries()) {
    await writer.add({ tokens: value, id, source: "s".repeat(id % 3) });
  }
  await writer.finish();
  const [entry] = (await readMdsIndex(directory)).shards;
  if (entry === undefined) {
    throw new Error("no shard was written");
  }
  const file = path.join(directory, entry.raw_data.basename);
  return tokenShardOf(entry, file, { tokenBytes, vocabSize: TINY_VOCABULARY });
}

describe("openTokenShard", () => {
  it.each(kinds)("reads the tokens of %s with ids of %i bytes, as our writer writes them", async (...kind) => {
    const [encoding, tokenBytes, encode] = kind;
    await using folder = await temporaryFolder();
    const shard = addon.openTokenShard(await writeShard(folder.path, encoding, tokenBytes, documents.map(encode)));
    expect(shard.tokenCount).toBe(tokens.length);
    expect(shard.vocabSize).toBe(TINY_VOCABULARY);
    expect(shard.windowCount(32)).toBe(Math.floor((tokens.length - 1) / 32));
    const all = new Int32Array(tokens.length);
    shard.copyTokens(0, all);
    expect([...all]).toEqual(tokens);
    const part = new Int32Array(40);
    shard.copyTokens(17, part.subarray(3, 33));
    expect([...part.subarray(0, 4), part[33]]).toEqual([0, 0, 0, tokens[17], 0]);
    expect([...part.subarray(3, 33)]).toEqual(tokens.slice(17, 47));
    shard.close();
  });

  it("reads arrays of a fixed shape, which have no header", async () => {
    await using folder = await temporaryFolder();
    const samples = [0, 1, 2].map((number) => Int32Array.from({ length: 8 }, (_, index) => 8 * number + index));
    const values = samples.map((ids): MdsValue => ({ dtype: "int32", shape: [8], bytes: asBytes(ids) }));
    const shard = addon.openTokenShard(await writeShard(folder.path, "ndarray:int32:8", 8, values));
    const all = new Int32Array(24);
    shard.copyTokens(0, all);
    expect([...all]).toEqual(Array.from({ length: 24 }, (_, index) => index));
    shard.close();
  });

  it("refuses what it cannot read with a code, and goes on working", async () => {
    await using folder = await temporaryFolder();
    const values = documents.map((ids) => asBytes(Uint16Array.from(ids)));
    const shard = await writeShard(folder.path, "bytes", 2, values);
    const failure = (code: string, text: string) =>
      expect.objectContaining({ code, message: expect.stringContaining(text) });
    const open = (changes: Partial<NativeTokenShard>) => () => addon.openTokenShard({ ...shard, ...changes });
    expect(open({ samples: 3 })).toThrow(failure("MDS_INVALID", "its index says 3"));
    expect(open({ encoding: "str" })).toThrow(failure("MDS_UNSUPPORTED", '"str"'));
    expect(open({ tokenColumn: 7 })).toThrow(failure("BAD_ARGUMENT", "column 7 of 3"));
    expect(open({ samples: -1 })).toThrow(failure("BAD_ARGUMENT", "samples"));
    expect(open({ columnSizes: "all" as never })).toThrow(failure("BAD_ARGUMENT", "columnSizes")); // as: what the types forbid
    expect(open({ file: path.join(folder.path, "none") })).toThrow(failure("FILE_NOT_READABLE", "none"));

    const narrow = addon.openTokenShard({ ...shard, vocabSize: 50 });
    const out = new Int32Array(tokens.length);
    expect(() => narrow.copyTokens(0, out)).toThrow(failure("TOKEN_OUT_OF_RANGE", `of sample 0 is`));
    const opened = addon.openTokenShard(shard);
    expect(() => opened.copyTokens(1, out)).toThrow(failure("BAD_ARGUMENT", `of a text of ${tokens.length}`));
    expect(() => opened.copyTokens(0, new Float32Array(4) as never)).toThrow(failure("BAD_ARGUMENT", "Int32Array")); // as: see above
    const windows = Uint32Array.of(opened.windowCount(32));
    expect(() => opened.copyWindows(windows, 32, out)).toThrow(failure("BAD_ARGUMENT", "Window"));
    expect(() => opened.copyWindows(Uint32Array.of(0), 32, new Int32Array(32))).toThrow(
      failure("BAD_ARGUMENT", "row 0 of 0"),
    );
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    // as: a shard knows no documents, which the types say too
    expect(() => model.trainStep({ data: opened as never, step: 1, lr: 1, shuffleSeed: 1 })).toThrow(
      failure("BAD_ARGUMENT", "openTokenShard"),
    );
    model.dispose();
    opened.close();
    opened.close();
    expect(() => opened.copyTokens(0, out)).toThrow(failure("ENGINE_DISPOSED", "openTokenShard"));

    const bytes = await readFile(shard.file);
    await writeFile(shard.file, Buffer.concat([bytes, Buffer.from("x")]));
    expect(open({})).toThrow(failure("MDS_INVALID", "its samples end at"));
    await truncate(shard.file, bytes.length - 1);
    expect(open({})).toThrow(failure("MDS_INVALID", "shard.00000.mds"));
  });
});

describe("a step from windows", () => {
  const masking: NativeMasking = {
    probability: 0.15,
    wholeWord: false,
    sentenceOrder: false,
    maskId: 1,
    clsId: 2,
    sepId: 3,
    padId: 4,
    wordStarts: new Uint8Array(TINY_VOCABULARY).fill(1),
    specials: Uint32Array.of(TINY_END_OF_TEXT),
  };
  const bert = { family: "bert", head: "masked-lm", typeVocabSize: 2, activation: "gelu" } as const;
  const setups: readonly (readonly [string, Parameters<typeof tinyConfig>[0], Partial<NativeTrainingOptions>])[] = [
    ["the next token", { embdPdrop: 0.1, attnPdrop: 0.1 }, {}],
    ["the next token of a document", {}, { documentMask: true }],
    ["masked tokens", bert, { masking }],
  ];

  it.each(setups)("gives the bits of the same tokens out of a token cache: %s", async (...setup) => {
    const [, config, training] = setup;
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), someDocuments(30)));
    const values = documents.map((ids) => asBytes(as64(ids)));
    const shard = addon.openTokenShard(await writeShard(path.join(folder.path, "shards"), "bytes", 8, values));
    const train = async (fromData: boolean) => {
      const model = addon.createModel(tinyConfig(config), { threads: 2 });
      await model.initialize(17);
      await model.prepareTraining(tinyTraining(training));
      const losses: number[] = [];
      for (let step = 1; step <= 4; step += 1) {
        const numbers = [0, 1, 2, 3].map((row) => windowOfSample(data.windowCount(32), 5, 4 * (step - 1) + row));
        const windows = new Int32Array(4 * 33);
        // Two calls, as from two shards of a batch.
        shard.copyWindows(Uint32Array.from([numbers[3], numbers[1]] as number[]), 32, windows, Uint32Array.of(3, 1)); // as: there are four
        data.copyWindows(Uint32Array.from([numbers[0], numbers[2]] as number[]), 32, windows, Uint32Array.of(0, 2)); // as: see above
        const request = { step, lr: 1e-3 };
        const running = fromData
          ? model.trainStep({ ...request, data, shuffleSeed: 5 })
          : model.trainStep({ ...request, windows, endOfTextId: TINY_END_OF_TEXT });
        // The call has its own copy.
        windows.fill(-1);
        const { loss, gradNorm } = await running;
        losses.push(loss, gradNorm);
      }
      const weights = path.join(folder.path, fromData ? "data" : "windows");
      await model.saveWeights(weights);
      model.dispose();
      return { losses, weights: await readFile(weights) };
    };
    const expected = await train(true);
    expect(await train(false)).toEqual(expected);
    expect(expected.losses.every(Number.isFinite)).toBe(true);
    data.close();
    shard.close();
  });

  it("refuses windows of another shape, tokens that no model has, and documents without an end", async () => {
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    await model.initialize(17);
    const step = (windows: Int32Array) => model.trainStep({ windows, step: 1, lr: 1e-3 });
    await expect(step(new Int32Array(4 * 33))).rejects.toMatchObject({ code: "TRAINING_NOT_PREPARED" });
    await model.prepareTraining(tinyTraining());
    await expect(step(new Int32Array(4 * 32))).rejects.toMatchObject({ code: "BATCH_SHAPE_MISMATCH" });
    for (const id of [-1, TINY_VOCABULARY]) {
      await expect(step(new Int32Array(4 * 33).fill(id, 131))).rejects.toMatchObject({ code: "TOKEN_OUT_OF_RANGE" });
    }
    expect((await step(new Int32Array(4 * 33))).applied).toBe(true);
    await model.prepareTraining(tinyTraining({ documentMask: true }));
    await expect(step(new Int32Array(4 * 33))).rejects.toMatchObject({
      code: "BAD_ARGUMENT",
      message: expect.stringContaining("endOfTextId"),
    });
    model.dispose();
  });
});
