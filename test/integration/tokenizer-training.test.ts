// Training, saving and opening tokenizers with the real engine, and what the tokenizer handlers make of them.
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { convertTokenizer } from "#core/tokenizer/convert";
import { explainWord } from "#core/tokenizer/explain-word";
import { createTokenizerHandlers } from "#core/tokenizer/handlers";
import { compareTokenizers, explainToken, inspectText } from "#core/tokenizer/inspect";
import { describeTokenizer, loadTokenizer } from "#core/tokenizer/load";
import { vocabularySavings } from "#core/tokenizer/savings";
import { saveTokenizer, type TrainingProgress, trainTokenizer } from "#core/tokenizer/train";
import { searchVocabulary, vocabularyOverlap } from "#core/tokenizer/vocabulary";

const testData =
  process.env["ASSAY_TEST_DATA"] ?? path.resolve(import.meta.dirname, "..", "..", "..", "shared", "data");
const words = "glucose insulin metformin trial patients placebo randomized outcome hazard ratio".split(" ");
const text = Array.from(
  { length: 400 },
  (_, index) => `${words[index % 10]} ${words[(index * 7) % 9]} ${index % 13}`,
).join(" ");

let folder: string;
let input: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-tokenizer-"));
  input = path.join(folder, "text.txt");
  await writeFile(input, text);
});
afterEach(() => rm(folder, { recursive: true }));

const train = (vocabSize: number, threads = 1, inputs = [input]) =>
  trainTokenizer({ type: "byte-bpe" as const, vocabSize, minFrequency: 2, inputs, threads });

describe("trainTokenizer", () => {
  it("gives end-of-text the last id, and every text back", async () => {
    const { tokenizer, report } = await train(320);
    expect([tokenizer.vocabSize, tokenizer.endOfTextId]).toEqual([320, 319]);
    expect(report).toMatchObject({ vocabSize: 320, bytes: Buffer.byteLength(text) });
    for (const sample of [text, "naïve 漢字 🧬\n\t  ", "<|endoftext|>", ""]) {
      expect(Buffer.from(tokenizer.decode(tokenizer.encode(sample).ids)).toString("utf8")).toBe(sample);
    }
    expect(tokenizer.encode("<|endoftext|>").ids).not.toContain(319);
  });

  it("gives the same files whatever the number of threads", async () => {
    for (const threads of [1, 2]) {
      const { tokenizer } = await train(320, threads);
      await saveTokenizer(tokenizer, path.join(folder, String(threads)));
    }
    for (const name of ["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"]) {
      expect(await readFile(path.join(folder, "1", name)), name).toEqual(await readFile(path.join(folder, "2", name)));
    }
  });

  it("gives the same bytes each time and with 1, 2 and 3 threads, for every kind", async () => {
    const sample = path.resolve(import.meta.dirname, "..", "..", "resources", "sample", "abstracts.jsonl");
    const kinds = [
      { type: "byte-bpe", vocabSize: 1500 },
      { type: "byte-bpe", vocabSize: 900, isMasked: true },
      { type: "wordpiece", vocabSize: 1500 },
      { type: "wordpiece", vocabSize: 1500, lowercase: true },
      { type: "unigram", vocabSize: 1200 },
      { type: "unigram", vocabSize: 1200, isMasked: true },
    ] as const;
    for (const [index, kind] of kinds.entries()) {
      const written = async (name: string, threads: number): Promise<readonly (readonly [string, string])[]> => {
        const directory = path.join(folder, `${index}-${name}`);
        const options = { ...kind, minFrequency: 2, inputs: [sample], protectedWords: ["Zyprexa"], threads };
        const { tokenizer } = await trainTokenizer(options);
        await saveTokenizer(tokenizer, directory);
        if (kind.type === "unigram") {
          await convertTokenizer(tokenizer, "sentencepiece", directory);
        }
        const names = (await readdir(directory)).toSorted();
        return Promise.all(
          names.map(async (each) => [each, await readFile(path.join(directory, each), "latin1")] as const),
        );
      };
      const first = await written("first", 1);
      expect(first.length).toBeGreaterThan(1);
      for (const [name, threads] of [
        ["second", 1],
        ["two", 2],
        ["three", 3],
      ] as const) {
        const other = await written(name, threads);
        expect(other.map(([file]) => file)).toEqual(first.map(([file]) => file));
        for (const [at, [file, bytes]] of other.entries()) {
          expect(bytes === first[at]?.[1], `${file} of ${JSON.stringify(kind)} with ${threads} threads`).toBe(true);
        }
      }
    }
  }, 300_000);

  it("opens again from a folder, a file, vocab.json with merges.txt, and by name, with the same ids", async () => {
    const { tokenizer } = await train(320);
    const directory = path.join(folder, "tokenizers", "mine");
    await saveTokenizer(tokenizer, directory);
    const expected = inspectText(tokenizer, text);
    const opened = [directory, path.join(directory, "tokenizer.json"), path.join(directory, "vocab.json"), "mine"];
    for (const source of opened) {
      expect(inspectText(await loadTokenizer(source, { workspace: folder }), text), source).toEqual(expected);
    }
    expect(await describeTokenizer("mine", { workspace: folder })).toMatchObject({ name: "mine", vocabSize: 320 });
  });

  it("says how many tokens the text supports where it is too little", async () => {
    const error = await train(5000).catch(
      (caught: unknown) => caught as { code: string; message: string; details: { supported: number } },
    );
    expect(error).toMatchObject({
      code: "VOCABULARY_TOO_LARGE",
      message: expect.stringMatching(/supports only \d+ of the 5000 tokens/),
    });
    const supported = "details" in error ? error.details.supported : 0;
    expect((await train(supported)).tokenizer.vocabSize).toBe(supported);
    await expect(train(supported + 1)).rejects.toMatchObject({ code: "VOCABULARY_TOO_LARGE" });
  });

  it("refuses an empty corpus, another type, and a vocabulary below the bytes", async () => {
    await writeFile(input, " ");
    await expect(train(300)).rejects.toMatchObject({ code: "CORPUS_EMPTY" });
    await expect(train(256)).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  });

  it("reports reading in bytes, then merging up to its total, and can be cancelled", async () => {
    const seen: TrainingProgress[] = [];
    const options = { type: "byte-bpe" as const, vocabSize: 320, minFrequency: 2, inputs: [input] };
    await trainTokenizer({ ...options, onProgress: (each) => seen.push(each) });
    expect(seen[0]).toMatchObject({ phase: "reading" });
    expect(seen.at(-1)).toMatchObject({ phase: "merging" });
    const cancel = new AbortController();
    cancel.abort();
    await expect(trainTokenizer({ ...options, signal: cancel.signal })).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

describe("loadTokenizer", () => {
  it("opens GPT-2's from the npm package", async () => {
    const gpt2 = await loadTokenizer("gpt2");
    expect([gpt2.vocabSize, gpt2.endOfTextId]).toEqual([50_257, 50_256]);
    const pieces = (term: string) => inspectText(gpt2, term).map(({ piece }) => piece);
    expect(pieces("chromatography")).toEqual(["chrom", "atography"]);
    expect(pieces("photosynthesis")).toEqual(["photos", "ynthesis"]);
    expect([...gpt2.encode("Hello world").ids]).toEqual([15_496, 995]);
  });

  it("says what is not there, not a vocabulary, and not readable", async () => {
    await expect(loadTokenizer("gtp2")).rejects.toMatchObject({
      code: "TOKENIZER_NOT_FOUND",
      message: expect.stringContaining("did you mean gpt2?"),
    });
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: "TOKENIZER_NOT_FOUND" });
    await writeFile(path.join(folder, "vocab.txt"), "[PAD]\n");
    await expect(loadTokenizer(folder)).rejects.toMatchObject({
      code: "TOKENIZER_INVALID",
      message: expect.stringContaining("no line is [UNK]"),
    });
    await writeFile(path.join(folder, "tokenizer.json"), "{}");
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: "TOKENIZER_INVALID" });
    await expect(describeTokenizer(folder)).rejects.toMatchObject({ code: "TOKENIZER_INVALID" });
  });
});

describe("inspectText", () => {
  it("gives byte offsets that cover the text, and \\xNN for parts of characters", async () => {
    const { tokenizer } = await train(300);
    const sample = "β 漢";
    const pieces = inspectText(tokenizer, sample);
    expect(pieces[0]).toMatchObject({ start: 0 });
    expect(pieces.at(-1)?.end).toBe(Buffer.byteLength(sample));
    expect(pieces.slice(1).every((piece, index) => piece.start === pieces[index]?.end)).toBe(true);
    expect(pieces.map(({ piece }) => piece).slice(0, 2)).toEqual(["\\xCE", "\\xB2"]);
  });
});

describe("explainToken", () => {
  it("takes a token apart down to its bytes", async () => {
    const gpt2 = await loadTokenizer("gpt2");
    const [id = 0] = gpt2.encode(" hospital").ids;
    const { piece, merges } = explainToken(gpt2, id);
    expect(piece).toBe(" hospital");
    expect(merges[0]?.depth).toBe(0);
    for (const { left, right, rank, depth } of merges) {
      expect(` hospital`).toContain(left + right);
      const parts = merges.filter((each) => each.depth === depth + 1 && [left, right].includes(each.left + each.right));
      expect(parts.every((part) => part.rank < rank)).toBe(true);
    }
    expect(merges).toHaveLength(" hospital".length - 1);
    expect(explainToken(gpt2, 0).merges).toEqual([]);
    expect(() => explainToken(gpt2, 50_257)).toThrow(/ids of this tokenizer are 0 to 50256/);
  });
});

describe("compareTokenizers", () => {
  it("counts bytes a token, tokens a word, terms, and the break rate of entities", async () => {
    const directory = path.join(folder, "mine");
    await saveTokenizer((await train(330)).tokenizer, directory);
    const iobFile = path.join(folder, "entities.tsv");
    await writeFile(iobFile, "metformin\tB-Chemical\nreduces\tO\nblood\tB-Test\nglucose\tI-Test\n");
    const compared = await compareTokenizers({
      tokenizers: [directory, "gpt2"],
      inputs: [input],
      terms: [" metformin", " aspirin"],
      iobFiles: [iobFile],
      topEntities: 2,
    });
    expect(compared.tokenizers).toEqual(["mine", "gpt2"]);
    expect(compared.corpus).toMatchObject({ documents: 1, words: 1200, bytes: Buffer.byteLength(text) });
    const [mine, gpt2] = compared.corpus?.rows ?? [];
    expect(mine?.fertility).toBeCloseTo((mine?.tokens ?? 0) / 1200);
    expect(gpt2?.tokens).toBe((await loadTokenizer("gpt2")).encode(text).ids.length);
    expect(compared.terms?.map(({ term, count }) => [term, count])).toEqual([
      [" metformin", text.split(" metformin").length - 1],
      [" aspirin", 0],
      [" blood glucose", text.split(" blood glucose").length - 1],
    ]);
    expect(compared.terms?.[0]?.pieces[0]).toEqual([" metformin"]);
    expect(compared.entities).toMatchObject([{ mentions: 2, words: 3, published: [] }]);
    expect(compared.corpus?.rows[0]?.wholeWords).toBeGreaterThan(0.5);
    expect(compared.entities?.[0]?.rows[0]?.breakRate).toBeGreaterThanOrEqual(1);
  });
});

describe("the tokenizer handlers", () => {
  it("train into the workspace, list, inspect and explain", async () => {
    const { requests, streams } = createTokenizerHandlers({ workspace: () => folder });
    const context = { signal: new AbortController().signal };
    const phases = new Set<string>();
    const request = {
      name: "mine",
      inputs: [input],
      type: "byte-bpe" as const,
      vocabSize: 300,
      minFrequency: 2,
      lowercase: false,
      protectedWords: [],
    };
    const info = await streams["tokenizers.train"](request, ({ phase }) => phases.add(phase), context);
    expect(info).toMatchObject({ name: "mine", vocabSize: 300, origin: "workspace" });
    expect([...phases]).toEqual(["reading", "merging", "saving"]);
    expect((await requests["tokenizers.list"]({}, context)).map(({ name }) => name)).toEqual(["mine", "gpt2"]);
    const { pieces, textBytes } = await requests["tokenizers.inspect"](
      { tokenizer: info.source, text: "glucose" },
      context,
    );
    expect([pieces.map(({ piece }) => piece).join(""), textBytes]).toEqual(["glucose", 7]);
    const explained = await requests["tokenizers.explain"]({ tokenizer: "mine", id: 298 }, context);
    expect(explained.merges.length).toBeGreaterThan(0);
    await expect(streams["tokenizers.train"](request, () => undefined, context)).rejects.toMatchObject({
      code: "BAD_ARGUMENT",
      message: expect.stringContaining("already"),
    });
  });
});

const abstracts = path.join(testData, "pubmed", "train.jsonl.gz");
describe.skipIf(!existsSync(abstracts))("on real abstracts (needs $ASSAY_TEST_DATA)", () => {
  it("28 896 tokens hold the field's frequent terms whole, and gpt2's do not", async () => {
    const directory = path.join(folder, "biomedical");
    await saveTokenizer((await train(28_896, 2, [abstracts])).tokenizer, directory);
    const terms = [" chromatography", " cytotoxicity", " immunohistochemistry", " photosynthesis", " probiotic"];
    const compared = await compareTokenizers({ tokenizers: [directory, "gpt2"], inputs: [abstracts], terms });
    for (const { term, count, pieces } of compared.terms ?? []) {
      if ((count ?? 0) >= 20) {
        expect(pieces[0], term).toEqual([term]);
      }
      expect(pieces[1]?.length, term).toBeGreaterThan(1);
    }
    const [own, gpt2] = compared.corpus?.rows ?? [];
    expect(own?.bytesPerToken).toBeGreaterThan(gpt2?.bytesPerToken ?? 0);
  });
});

describe("explainWord", () => {
  it("replays the merges of a word, and says what the vocabulary holds across a border", async () => {
    const gpt2 = await loadTokenizer("gpt2");
    const explained = explainWord(gpt2, " cytotoxicity");
    if (explained?.kind !== "merges") {
      throw new Error("GPT-2 is explained by its merges.");
    }
    expect(explained.pieces).toEqual(inspectText(gpt2, " cytotoxicity").map(({ piece }) => piece));
    expect(explained.steps.at(-1)?.pieces).toEqual(explained.pieces);
    expect(explained.steps.map(({ rank }) => rank).every((rank) => rank >= 0 && rank < 50_000)).toBe(true);
    expect(explained.wholeId).toBeNull();
    expect(explained.borders).toHaveLength(explained.pieces.length - 1);
    expect(explainWord(gpt2, " hospital")).toMatchObject({ pieces: [" hospital"], borders: [] });
    expect(explainWord(gpt2, "")).toBeNull();
    expect(explainWord(gpt2, "a".repeat(300))).toBeNull();
  });
});

describe("a vocabulary as a list", () => {
  it("is searched by text and by regular expression, and laid over another", async () => {
    const gpt2 = await loadTokenizer("gpt2");
    const found = searchVocabulary(gpt2, "hospital", 3);
    expect(found.entries.every(({ id, piece }) => piece.includes("hospital") && id < 50_257)).toBe(true);
    expect(found.total).toBeGreaterThanOrEqual(found.entries.length);
    expect(searchVocabulary(gpt2, "/^ hospital$/", 9).entries).toEqual([{ id: 4436, piece: " hospital" }]);
    expect(() => searchVocabulary(gpt2, "/(/", 9)).toThrow(/no regular expression/);
    const directory = path.join(folder, "small");
    await saveTokenizer((await train(300)).tokenizer, directory);
    const small = await loadTokenizer(directory);
    const overlap = vocabularyOverlap(small, gpt2, { examples: 5 });
    expect(overlap.sizes[0]).toBe(300);
    expect(overlap.shared).toBeGreaterThanOrEqual(256);
    expect(overlap.onlyFirst.length + overlap.shared).toBeLessThanOrEqual(300);
    expect(vocabularyOverlap(gpt2, gpt2).shared).toBe(vocabularyOverlap(gpt2, gpt2).sizes[0]);
  });
});

describe("vocabularySavings", () => {
  it("prices the same text in each vocabulary's tokens", async () => {
    const directory = path.join(folder, "priced");
    await saveTokenizer((await train(300)).tokenizer, directory);
    const savings = await vocabularySavings({
      source: "gpt2-124m",
      tokenizers: [directory, "gpt2"],
      inputs: [input],
      workspace: folder,
      gpu: { name: "a100-80gb", mfu: 0.4 },
    });
    const [own, gpt2] = savings.rows;
    expect(own?.savedTokens).toBe(0);
    expect((gpt2?.tokens ?? 0) * (gpt2?.bytesPerToken ?? 0)).toBeCloseTo(savings.textBytes, 0);
    expect(gpt2?.savedTokens).toBeCloseTo(1 - (own?.bytesPerToken ?? 0) / (gpt2?.bytesPerToken ?? 1));
    expect(gpt2?.gpuHours).toBeCloseTo((gpt2?.flops ?? 0) / (312e12 * 0.4) / 3600);
  });
});

describe("the laboratory's handlers", () => {
  it("compare, explain a word, search and lay over", async () => {
    const { requests, streams } = createTokenizerHandlers({ workspace: () => folder });
    const context = { signal: new AbortController().signal };
    const compared = await streams["tokenizers.compare"](
      { tokenizers: ["gpt2"], inputs: [input], terms: [" metformin"], iobFiles: [], topEntities: 0 },
      () => undefined,
      context,
    );
    expect(compared).toMatchObject({ tokenizers: ["gpt2"], entities: null, terms: [{ term: " metformin" }] });
    const explained = await requests["tokenizers.explain-word"]({ tokenizer: "gpt2", word: " metformin" }, context);
    expect(explained?.pieces.join("")).toBe(" metformin");
    const found = await requests["tokenizers.vocabulary"]({ tokenizer: "gpt2", search: "zebra", limit: 5 }, context);
    expect(found.total).toBe(found.entries.length);
    const overlap = await requests["tokenizers.overlap"](
      { first: "gpt2", second: "gpt2", ignoreMarks: false },
      context,
    );
    expect(overlap).toMatchObject({ onlyFirst: [], onlySecond: [] });
    const stopped = new AbortController();
    stopped.abort();
    await expect(
      streams["tokenizers.compare"](
        { tokenizers: ["gpt2"], inputs: [input], terms: [], iobFiles: [], topEntities: 0 },
        () => undefined,
        { signal: stopped.signal },
      ),
    ).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

describe("WordPiece and unigram", () => {
  it("are trained from the same texts, open again from their folders, and make the same tokens of a text", async () => {
    for (const [type, lowercase, vocabSize] of [
      ["wordpiece", true, 120],
      ["wordpiece", false, 120],
      ["unigram", false, 60],
    ] as const) {
      const directory = path.join(folder, `${type}-${lowercase}`);
      const { tokenizer, report } = await trainTokenizer({
        type,
        lowercase,
        vocabSize,
        minFrequency: 2,
        inputs: [input],
        isMasked: true,
        protectedWords: ["Zyprexa"],
      });
      expect(report.vocabSize, type).toBe(vocabSize);
      expect(tokenizer.endOfTextId).toBe(vocabSize - 1);
      await saveTokenizer(tokenizer, directory);
      const again = await loadTokenizer(directory);
      expect(again.kind).toBe(type);
      expect([...again.encode(text).ids]).toEqual([...tokenizer.encode(text).ids]);
      const [piece, ...rest] = inspectText(again, "Zyprexa");
      expect(rest, type).toEqual([]);
      expect([piece?.start, piece?.end]).toEqual([0, 7]);
      const [shouted] = inspectText(again, "ZYPREXA");
      expect(shouted?.id === piece?.id, `${type} ${lowercase}`).toBe(lowercase);
      const { tokenizer: twin } = await trainTokenizer({
        type,
        lowercase,
        vocabSize,
        minFrequency: 2,
        inputs: [input],
        isMasked: true,
        protectedWords: ["Zyprexa"],
        threads: 1,
      });
      await saveTokenizer(twin, `${directory}-twin`);
      expect(await readFile(path.join(`${directory}-twin`, "tokenizer.json"), "utf8")).toBe(
        await readFile(path.join(directory, "tokenizer.json"), "utf8"),
      );
    }
  });

  it("refuse what does not fit together", async () => {
    const options = { vocabSize: 120, minFrequency: 2, inputs: [input] };
    await expect(trainTokenizer({ ...options, type: "unigram", lowercase: true })).rejects.toThrow(/of wordpiece/);
    await expect(
      trainTokenizer({ ...options, type: "wordpiece", protectedWords: ["two words"] }),
    ).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  });
});
