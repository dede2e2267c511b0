// Token caches with the real tokenizer: what is in them, when they are reused, and what happens to damaged ones.
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isHeldOut } from "#core/corpus/split";
import { buildTokenCache, type TokenCacheProgress } from "#core/corpus/token-cache";
import { TokenCacheWriter } from "#core/corpus/token-cache-writer";
import { traceTokens } from "#core/corpus/trace";
import { loadAddon, type NativeTokenizer } from "#core/engine/addon";
import { loadTokenizer } from "#core/tokenizer/load";
import { trainTokenizer } from "#core/tokenizer/train";

const fraction = 0.2;
const records = Array.from({ length: 60 }, (_, index) => ({
  id: `document-${index}`,
  text: `Document ${index}: metformin lowers glucose; naïve β-cells and 漢字 <|endoftext|> ${"insulin ".repeat(index % 7)}`,
}));

let folder: string;
let cacheRoot: string;
let corpus: string;
let tokenizer: NativeTokenizer;

beforeAll(async () => {
  async function* documents() {
    yield* records;
  }
  const trained = await trainTokenizer({ type: "byte-bpe", vocabSize: 300, minFrequency: 2, documents: documents() });
  tokenizer = trained.tokenizer;
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-cache-"));
  cacheRoot = path.join(folder, "cache");
  corpus = path.join(folder, "corpus.jsonl");
  await writeFile(corpus, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
});
afterEach(() => rm(folder, { recursive: true }));

function recipe(evaluation: string | { fraction: number } = { fraction }, maxSeqLen = 16, train = corpus) {
  return { max_seq_len: maxSeqLen, data: { train, eval: evaluation, shuffle_seed: 17 } };
}

async function readCache(directory: string) {
  const meta = JSON.parse(await readFile(path.join(directory, "meta.json"), "utf8"));
  const tokens = new Uint16Array(new Uint8Array(await readFile(path.join(directory, "tokens.bin"))).buffer);
  const index = new BigUint64Array(new Uint8Array(await readFile(path.join(directory, "documents.idx"))).buffer);
  const texts = Array.from({ length: index.length - 1 }, (_, at) => {
    const ids = tokens.slice(Number(index[at]), Number(index[at + 1]));
    expect(ids.at(-1)).toBe(tokenizer.endOfTextId);
    return Buffer.from(tokenizer.decode(Uint32Array.from(ids.slice(0, -1)))).toString("utf8");
  });
  return { meta, tokens, texts };
}

describe("buildTokenCache", () => {
  it("splits every document by its id and keeps its text", async () => {
    const caches = await buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot });
    const train = await readCache(caches.trainDirectory);
    const held = await readCache(caches.evalDirectory);
    expect(train.texts).toEqual(records.filter(({ id }) => !isHeldOut(id, fraction)).map(({ text }) => text));
    const { documents } = await traceTokens(caches.trainDirectory, 0, train.tokens.length);
    expect(documents.map(({ id }) => id)).toEqual(records.flatMap(({ id }) => (isHeldOut(id, fraction) ? [] : [id])));
    expect(held.texts).toEqual(records.filter(({ id }) => isHeldOut(id, fraction)).map(({ text }) => text));
    expect(caches.train).toEqual({
      documents: train.texts.length,
      tokens: train.tokens.length,
      textBytes: train.texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    });
    expect(train.meta).toMatchObject({
      format_version: 1,
      dtype: "u16",
      token_count: train.tokens.length,
      vocab_size: 300,
      end_of_text_id: 299,
    });
    const data = loadAddon().openTokenData(caches.trainDirectory);
    expect([data.documentCount, data.tokenCount]).toEqual([train.texts.length, train.tokens.length]);
    data.close();
  });

  it("writes 32-bit ids for a vocabulary that needs them, and the engine reads them", async () => {
    const directory = path.join(folder, "wide");
    const facts = { vocabSize: 70_000, endOfTextId: 69_999, tokenizerSha256: "" };
    const writer = await TokenCacheWriter.create(directory, facts);
    await writer.add(Uint32Array.of(1, 66_000), 9);
    await writer.add(new Uint32Array(), 0);
    await writer.finish();
    const written = new Uint32Array(new Uint8Array(await readFile(path.join(directory, "tokens.bin"))).buffer);
    expect([...written]).toEqual([1, 66_000, 69_999, 69_999]);
    const data = loadAddon().openTokenData(directory);
    expect([data.documentCount, data.tokenCount]).toEqual([2, 4]);
    data.close();
  });

  it("is reused while text, split and tokenizer are the same, and where the corpus has moved", async () => {
    const first = await buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot });
    const moved = path.join(folder, "elsewhere", "corpus.jsonl");
    await cp(corpus, moved);
    const again = await buildTokenCache({ recipe: recipe({ fraction }, 16, moved), tokenizer, cacheRoot });
    expect(again).toEqual({ ...first, wasReused: true });
    expect((await readdir(cacheRoot)).toSorted()).toEqual(
      [first.trainDirectory, first.evalDirectory].map((each) => path.basename(each)).toSorted(),
    );

    const split = await buildTokenCache({ recipe: recipe({ fraction: 0.3 }), tokenizer, cacheRoot });
    expect(split.fingerprint).not.toBe(first.fingerprint);
    await appendFile(corpus, `${JSON.stringify({ id: "new", text: "more" })}\n`);
    const grown = await buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot });
    expect(grown.fingerprint).not.toBe(first.fingerprint);
    const other = await buildTokenCache({ recipe: recipe(), tokenizer: await loadTokenizer("gpt2"), cacheRoot });
    expect(other.fingerprint).not.toBe(grown.fingerprint);
  });

  it("takes held-out text from a path of its own", async () => {
    const held = path.join(folder, "held.txt");
    await writeFile(held, "Held out by hand.");
    const caches = await buildTokenCache({ recipe: recipe(held), tokenizer, cacheRoot });
    expect(caches.train.documents).toBe(records.length);
    expect((await readCache(caches.evalDirectory)).texts).toEqual(["Held out by hand."]);
  });

  it.each(["tokens.bin", "documents.idx", "meta.json"])(
    "makes a cache again whose %s is cut, and says so",
    async (name) => {
      const first = await buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot });
      const file = path.join(first.trainDirectory, name);
      const whole = await readFile(file);
      await truncate(file, whole.length - 5);
      const notices: string[] = [];
      const again = await buildTokenCache({
        recipe: recipe(),
        tokenizer,
        cacheRoot,
        onNotice: (notice) => notices.push(notice),
      });
      expect(again).toEqual(first);
      expect(await readFile(file)).toEqual(whole);
      expect(notices[0]).toContain("is damaged and is made again");
    },
  );

  it("may be built by several at once", async () => {
    const build = () => buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot });
    const [first, ...others] = await Promise.all([build(), build(), build()]);
    expect(others).toEqual([first, first]);
    expect(await readdir(cacheRoot)).toHaveLength(2);
  });

  it("leaves nothing behind when it is cancelled, and sweeps up after a killed process", async () => {
    await mkdir(path.join(cacheRoot, ".building-999999999-abcd"), { recursive: true });
    const cancel = new AbortController();
    const build = buildTokenCache({
      recipe: recipe(),
      tokenizer,
      cacheRoot,
      signal: cancel.signal,
      onProgress: ({ phase }) => (phase === "tokenizing" ? cancel.abort() : undefined),
    });
    await expect(build).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await readdir(cacheRoot)).toEqual([]);
  });

  it("reports progress in bytes up to the total", async () => {
    const seen: TokenCacheProgress[] = [];
    await buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot, onProgress: (each) => seen.push(each) });
    for (const phase of ["hashing", "tokenizing"]) {
      const last = seen.findLast((each) => each.phase === phase);
      expect(last?.done).toBe(last?.total);
    }
  });

  it("refuses a text shorter than the context, with the numbers", async () => {
    const { train } = await buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot });
    await expect(
      buildTokenCache({ recipe: recipe({ fraction }, 100_000), tokenizer, cacheRoot }),
    ).rejects.toMatchObject({
      code: "TEXT_SHORTER_THAN_CONTEXT",
      message: `The training text has ${train.tokens} tokens in ${train.documents} documents, and one window of max_seq_len 100000 needs 100001; add text or lower max_seq_len.`,
    });
  });

  it("refuses an empty held-out set, and says what to do", async () => {
    const one = path.join(folder, "one.txt");
    await writeFile(one, "One document.");
    const error = await buildTokenCache({ recipe: recipe({ fraction: 0.0001 }, 8, one), tokenizer, cacheRoot }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ code: "CORPUS_EMPTY", message: expect.stringContaining("raise the fraction") });
    expect(await readdir(cacheRoot)).toEqual([]);
  });

  it("passes on what is wrong with the text", async () => {
    await appendFile(corpus, Buffer.from([0x7b, 0xff, 0x0a]));
    await expect(buildTokenCache({ recipe: recipe(), tokenizer, cacheRoot })).rejects.toMatchObject({
      code: "CORPUS_NOT_UTF8",
      message: expect.stringContaining(`${corpus}:61`),
    });
    expect(await readdir(cacheRoot)).toEqual([]);
  });
});
