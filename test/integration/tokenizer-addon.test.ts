// The addon's tokenizer and trainer at their edges: arguments of the wrong kind, calls that overlap, progress that throws,
// text that is not well formed, files that cannot be used.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeTokenizer } from "#core/engine/addon";
import { temporaryFolder } from "../support/workspace.ts";

const addon = loadAddon();
const failure = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });
const nothing = () => undefined;
const options = { vocabSize: 300, minFrequency: 1, firstTokens: [], lastTokens: ["<|endoftext|>"], threads: 1 };

async function aTokenizer(): Promise<NativeTokenizer> {
  const trainer = addon.createTokenizerTrainer({ threads: 1 });
  await trainer.add(["low lower lowest slow slower slowest ".repeat(20)]);
  return trainer.train(options, nothing);
}

describe("NativeTokenizer", () => {
  it("replaces lone surrogates and keeps everything else", async () => {
    const tokenizer = await aTokenizer();
    for (const text of [
      "a\ud800b",
      "\udc00",
      "x\ud83d",
      "\ud83d\ude00",
      "\u0000\u0000",
      "é".repeat(1000),
      `${"x".repeat(40)}\ud800`,
    ]) {
      const { ids, ends } = tokenizer.encode(text);
      const utf8 = new TextEncoder().encode(text);
      expect(Buffer.compare(tokenizer.decode(ids), utf8), JSON.stringify(text)).toBe(0);
      expect(ends.at(-1)).toBe(utf8.length);
    }
  });

  it("encodes a batch as it encodes one text, on any number of threads", async () => {
    const tokenizer = await aTokenizer();
    const texts = ["", ...Array.from({ length: 500 }, (_, index) => `slower ${index} \ud83d lowest`), ""];
    const batches = await Promise.all([1, 2, 5].map((threads) => tokenizer.encodeBatch(texts, { threads })));
    for (const batch of [...batches, await tokenizer.encodeBatch(texts)]) {
      expect(batch.offsets).toHaveLength(texts.length + 1);
      for (const [index, text] of texts.entries()) {
        const own = batch.ids.subarray(batch.offsets[index], batch.offsets[index + 1]);
        expect([...own]).toEqual([...tokenizer.encode(text).ids]);
        expect(batch.textBytes[index]).toBe(Buffer.byteLength(text));
      }
    }
    const none = await tokenizer.encodeBatch([]);
    expect([none.ids.length, ...none.offsets, none.textBytes.length]).toEqual([0, 0, 0]);
  });

  it("finds tokens by id and by bytes", async () => {
    const tokenizer = await aTokenizer();
    const low = tokenizer.idOfBytes(Buffer.from("low")) ?? -1;
    expect(Buffer.from(tokenizer.tokenBytes(low)).toString()).toBe("low");
    expect(tokenizer.idOfBytes(Buffer.from("nothing of the kind"))).toBeNull();
    expect(tokenizer.idOfBytes(Buffer.from("<|endoftext|>"))).toBe(tokenizer.endOfTextId);
    expect(tokenizer.endOfTextId).toBe(tokenizer.vocabSize - 1);
    expect(tokenizer.merges()).toHaveLength(tokenizer.vocabSize - 257);
  });

  it("refuses what is no text, no ids and no id of its own", async () => {
    const tokenizer = await aTokenizer();
    const untyped = tokenizer as unknown as Record<string, (...values: unknown[]) => unknown>; // as: the point is to break the types
    expect(() => untyped["encode"]?.(5)).toThrow(failure("BAD_ARGUMENT", "text must be a string"));
    expect(() => untyped["encodeBatch"]?.(["a", null])).toThrow(failure("BAD_ARGUMENT", "texts[1] must be a string"));
    expect(() => untyped["encodeBatch"]?.("a")).toThrow(failure("BAD_ARGUMENT", "texts must be an array"));
    expect(() => untyped["encodeBatch"]?.(["a"], { threads: 0 })).toThrow(failure("BAD_ARGUMENT", "threads"));
    expect(() => untyped["decode"]?.([1, 2])).toThrow(failure("BAD_ARGUMENT", "Uint32Array"));
    expect(() => untyped["tokenBytes"]?.(-1)).toThrow(failure("BAD_ARGUMENT", "id must be"));
    expect(() => untyped["idOfBytes"]?.("a")).toThrow(failure("BAD_ARGUMENT", "Uint8Array"));
    expect(() => tokenizer.decode(Uint32Array.of(0, tokenizer.vocabSize))).toThrow(
      failure("BAD_ARGUMENT", `There is no token ${tokenizer.vocabSize}`),
    );
    const Constructor = tokenizer.constructor as new () => unknown; // as: it is a class, if one nobody may call
    expect(() => new Constructor()).toThrow(failure("BAD_ARGUMENT", "is made by loadTokenizer"));
  });

  it("says why a file is not used", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "tokenizer.json");
    expect(() => addon.loadTokenizer(file)).toThrow(failure("FILE_NOT_READABLE", "tokenizer.json: No such file"));
    await writeFile(file, '{"version": "1.0"');
    expect(() => addon.loadTokenizer(file)).toThrow(failure("JSON_INVALID", "line 1, column 18"));
    await writeFile(file, '{"version": "1.0", "normalizer": {"type": "Nmt"}, "model": {}}');
    expect(() => addon.loadTokenizer(file)).toThrow(failure("NOT_SUPPORTED", '"normalizer.type"'));
    await writeFile(file, "[]");
    expect(() => addon.loadTokenizer(file)).toThrow(failure("TOKENIZER_INVALID", "holds an array"));
    const tokenizer = await aTokenizer();
    await expect(tokenizer.saveTokenizerJson(path.join(folder.path, "no", "where.json"))).rejects.toThrow(
      failure("FILE_NOT_WRITABLE", "where.json"),
    );
    await expect(tokenizer.saveVocabAndMerges(path.join(folder.path, "no"))).rejects.toThrow(
      failure("FILE_NOT_WRITABLE", "vocab.json"),
    );
    await mkdir(path.join(folder.path, "there"));
    await tokenizer.saveVocabAndMerges(path.join(folder.path, "there"));
    const there = (name: string) => path.join(folder.path, "there", name);
    expect(addon.loadVocabAndMerges(there("vocab.json"), there("merges.txt")).merges()).toEqual(tokenizer.merges());
  });

  it("is made from ranks only when they make sense", () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]));
    expect(addon.tokenizerFromRanks([...bytes, Buffer.from("ab")], { "<|endoftext|>": 257 }).merges()).toEqual([
      [97, 98],
    ]);
    expect(() => addon.tokenizerFromRanks(bytes.slice(1), {})).toThrow(
      failure("TOKENIZER_INVALID", "no token for byte 0"),
    );
    expect(() => addon.tokenizerFromRanks(bytes, { "<|endoftext|>": 4_000_000_000 })).toThrow(
      failure("TOKENIZER_INVALID", "without a gap"),
    );
  });
});

describe("NativeTokenizerTrainer", () => {
  it("runs overlapping calls one after the other, in the order they were made", async () => {
    const trainer = addon.createTokenizerTrainer({ threads: 2 });
    const adding = [trainer.add(["low low"]), trainer.add(["lower low"])];
    const early = trainer.train(options, nothing);
    const late = trainer.add(["lowest"]);
    expect(() => trainer.distinctWords).toThrow(failure("ENGINE_BUSY", "while the trainer works"));
    await Promise.all([...adding, late]);
    expect([trainer.wordCount, trainer.distinctWords, trainer.byteCount]).toEqual([5, 4, 22]);
    expect(trainer.memoryBytes()).toBeGreaterThan(0);
    // "lowest" came after the training: no merge knows it.
    expect((await early).idOfBytes(Buffer.from("lowest"))).toBeNull();
    expect((await trainer.train(options, nothing)).idOfBytes(Buffer.from("lowest"))).not.toBeNull();
  });

  it("reports progress up to its end, and rejects with what the listener throws", async () => {
    const trainer = addon.createTokenizerTrainer({ threads: 1 });
    await trainer.add([Array.from({ length: 3000 }, (_, index) => `w${index * 7919}`).join(" ")]);
    const seen: (readonly [number, number])[] = [];
    const tokenizer = await trainer.train({ ...options, vocabSize: 2000 }, (merges, total) =>
      seen.push([merges, total]),
    );
    expect(seen.at(-1)).toEqual([tokenizer.merges().length, tokenizer.merges().length]);
    expect(seen.map(([merges]) => merges)).toEqual(seen.map(([merges]) => merges).toSorted((a, b) => a - b));
    const thrown = new Error("the listener gave up");
    await expect(
      trainer.train(options, () => {
        throw thrown;
      }),
    ).rejects.toBe(thrown);
  });

  it("gives a smaller vocabulary where the text supports no more", async () => {
    const trainer = addon.createTokenizerTrainer({ threads: 1 });
    await trainer.add(["abc abc"]);
    const tokenizer = await trainer.train({ ...options, vocabSize: 50_000 }, nothing);
    expect([tokenizer.vocabSize, tokenizer.endOfTextId]).toEqual([260, 259]);
  });

  it("refuses requests that make no sense", async () => {
    expect(() => addon.createTokenizerTrainer({ threads: 0 })).toThrow(failure("BAD_ARGUMENT", "threads"));
    expect(() => addon.createTokenizerTrainer({ threads: 1, maxWordBytes: 1 })).toThrow(
      failure("BAD_ARGUMENT", "1 bytes"),
    );
    const trainer = addon.createTokenizerTrainer({ threads: 1 });
    await expect(trainer.train(options, nothing)).rejects.toThrow(failure("CORPUS_EMPTY", "no text"));
    await trainer.add(["abc"]);
    await expect(trainer.train({ ...options, vocabSize: 256 }, nothing)).rejects.toThrow(
      failure("BAD_ARGUMENT", "257"),
    );
    await expect(trainer.train({ ...options, lastTokens: ["<a>", "<a>"] }, nothing)).rejects.toThrow(
      failure("BAD_ARGUMENT", "given twice"),
    );
    const untyped = trainer as unknown as Record<string, (...values: unknown[]) => unknown>; // as: the point is to break the types
    expect(() => untyped["add"]?.([1])).toThrow(failure("BAD_ARGUMENT", "texts[0] must be a string"));
    expect(() => untyped["train"]?.(options)).toThrow(failure("BAD_ARGUMENT", "onProgress must be a function"));
    expect(() => untyped["train"]?.({ vocabSize: 300 }, nothing)).toThrow(failure("BAD_ARGUMENT", "minFrequency"));
  });
});
