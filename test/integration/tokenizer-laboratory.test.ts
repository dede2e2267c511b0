// The laboratory with the real engine: why words split under tokenizers without merges, training within a memory limit
// and what is forecast of it, and the lint of a tokenizer against a model.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lintFit } from "#core/models/lint-fit";
import { openedFindings } from "#core/models/lint-opened";
import { explainWord } from "#core/tokenizer/explain-word";
import { forecastTraining } from "#core/tokenizer/forecast";
import { inspectText } from "#core/tokenizer/inspect";
import { loadTokenizer } from "#core/tokenizer/load";
import { saveTokenizer, type TrainableType, trainTokenizer } from "#core/tokenizer/train";

const sample = path.resolve(import.meta.dirname, "../../resources/sample/abstracts.jsonl");
const testData =
  process.env["ASSAY_TEST_DATA"] ?? path.resolve(import.meta.dirname, "..", "..", "..", "shared", "data");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-laboratory-"));
});
afterAll(() => rm(folder, { recursive: true }));

const train = async (type: TrainableType, vocabSize: number, more: object = {}) =>
  trainTokenizer({ type, vocabSize, minFrequency: 2, inputs: [sample], threads: 2, ...more });

async function sampleWords(): Promise<readonly string[]> {
  const text = await readFile(sample, "utf8");
  return [...new Set(text.match(/[A-Za-z]{3,}/g) ?? [])].slice(0, 1500);
}

/** A vocabulary in which the longest first piece leads astray. */
async function greedyVocabulary(): Promise<string> {
  const directory = path.join(folder, "greedy");
  await mkdir(directory, { recursive: true });
  const pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  pieces.push("photos", "phot", "photosensitive", "##osynthesis", "##yn", "##thesis", "Photo");
  await writeFile(path.join(directory, "vocab.txt"), `${pieces.join("\n")}\n`);
  return directory;
}

describe("explainWord without merges", () => {
  it("tells WordPiece's steps, the longer pieces that do not fit, and the cut that greed misses", async () => {
    const tokenizer = await loadTokenizer(await greedyVocabulary());
    expect(explainWord(tokenizer, " photosynthesis")).toMatchObject({
      kind: "longest-match",
      pieces: ["photos", "##yn", "##thesis"],
      steps: [
        { piece: "photos", rest: "ynthesis", longer: ["photosensitive"] },
        { piece: "##yn", rest: "thesis", longer: [] },
        { piece: "##thesis", rest: "" },
      ],
      stuckAt: null,
      shortest: ["phot", "##osynthesis"],
    });
  });

  it("says where a word that is unknown got stuck, and whether another cut would have known it", async () => {
    const tokenizer = await loadTokenizer(await greedyVocabulary());
    expect(explainWord(tokenizer, "photosyn")).toMatchObject({ pieces: ["photos", "##yn"], shortest: null });
    expect(explainWord(tokenizer, "photosynx")).toMatchObject({ pieces: ["[UNK]"], stuckAt: "x", shortest: null });
    expect(explainWord(tokenizer, "two words")).toBeNull();
    expect(explainWord(tokenizer, "a".repeat(200))).toBeNull();
    expect(explainWord(tokenizer, "")).toBeNull();
  });

  it.each([
    ["wordpiece", 1200, { lowercase: true }],
    ["wordpiece", 1200, {}],
    ["unigram", 1200, {}],
  ] as const)("gives the pieces that encoding gives: %s of %d %j", async (type, vocabSize, more) => {
    const { tokenizer } = await train(type, vocabSize, more);
    for (const word of await sampleWords()) {
      const encoded = inspectText(tokenizer, word).map(({ piece }) => piece);
      const explained = explainWord(tokenizer, word);
      expect(explained?.pieces, word).toEqual(encoded);
      if (explained?.kind === "unigram") {
        const best = explained.paths[0]?.pieces.map(({ piece, id }) => (id === null ? "<unk>" : piece)) ?? [];
        const fused = best.filter((piece, at) => piece !== "<unk>" || best[at - 1] !== "<unk>");
        expect(fused, word).toEqual(encoded);
      }
    }
  });

  it("tells unigram's likeliest cuts, each with what its pieces add up to", async () => {
    const { tokenizer } = await train("unigram", 1200);
    const explained = explainWord(tokenizer, " hypertension");
    if (explained?.kind !== "unigram") {
      throw new Error("A unigram tokenizer is explained by its likeliest cuts.");
    }
    expect(explained.paths.length).toBeGreaterThan(1);
    const scores = explained.paths.map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    for (const { pieces, score } of explained.paths) {
      expect(pieces.map(({ piece }) => piece).join("")).toBe(explained.normalized);
      expect(pieces.reduce((sum, piece) => sum + piece.score, 0)).toBeCloseTo(score, 9);
    }
    expect(new Set(explained.paths.map(({ pieces }) => pieces.map(({ piece }) => piece).join(" "))).size).toBe(
      explained.paths.length,
    );
  });
});

describe("training within a memory limit", () => {
  it.each([
    ["byte-bpe", 600],
    ["wordpiece", 600],
    ["unigram", 300],
  ] as const)(
    "leaves the rarest words out, says so, and is the same for any number of threads: %s",
    async (type, size) => {
      const folders: string[] = [];
      for (const threads of [1, 3]) {
        const { tokenizer, report } = await train(type, size, { threads, memoryLimitBytes: 600_000 });
        expect(report.wordsLeftOut).toBeGreaterThan(0);
        expect(report.minWordCount).toBeGreaterThan(1);
        expect(report.temporaryBytes).toBeGreaterThan(0);
        folders.push(path.join(folder, `${type}-${threads}`));
        await saveTokenizer(tokenizer, folders.at(-1) ?? "");
      }
      const [one, many] = await Promise.all(folders.map((each) => readFile(path.join(each, "tokenizer.json"), "utf8")));
      expect(many).toBe(one);
      const { report } = await train(type, size);
      expect(report).toMatchObject({ wordsLeftOut: 0, minWordCount: 1, temporaryBytes: 0 });
    },
  );

  it("names the memory where the words left out are what a vocabulary lacks", async () => {
    await expect(train("byte-bpe", 20_000, { memoryLimitBytes: 300_000 })).rejects.toThrow(
      /left out for want of memory: allow more/,
    );
  });

  it("is forecast from the text itself", async () => {
    const { report } = await train("byte-bpe", 600);
    const forecast = await forecastTraining({ type: "byte-bpe", vocabSize: 600, inputs: [sample], threads: 2 });
    expect(forecast).toMatchObject({ textBytes: report.bytes, distinctWords: report.distinctWords, spills: false });
    const tight = await forecastTraining({
      type: "byte-bpe",
      vocabSize: 600,
      inputs: [sample],
      threads: 2,
      memoryLimitBytes: 300_000,
    });
    expect(tight).toMatchObject({ spills: true, leavesWordsOut: true });
  });
});

describe("the lint that opens the tokenizer", () => {
  it("finds ids beyond the model and unknown signs, and nothing in a tokenizer that fits", async () => {
    const gpt2 = await loadTokenizer("gpt2");
    expect(openedFindings(gpt2, { vocabSize: 50_257 })).toEqual([]);
    expect(openedFindings(gpt2, { vocabSize: 1000 }).map(({ code }) => code)).toEqual(["ID_BEYOND_MODEL"]);
    const { tokenizer } = await train("wordpiece", 1200, { lowercase: true });
    const codes = openedFindings(tokenizer, { vocabSize: 1200 }, "ein Wort 漢字 漢字 漢字").map(({ code }) => code);
    expect(codes).toEqual(["SAMPLE_HAS_UNKNOWN"]);
    expect(openedFindings(tokenizer, { vocabSize: 1200 }, "Patients with hypertension")).toEqual([]);
  });

  const models = path.join(testData, "models");
  describe.skipIf(!existsSync(models))("on real checkpoints (needs $ASSAY_TEST_DATA)", () => {
    const codes = async (model: string, tokenizer: string | null) => {
      const fit = await lintFit({ model: path.join(models, model), tokenizer, workspace: folder });
      return fit.findings.map(({ severity, code }) => `${severity} ${code}`);
    };
    const vocabulary = (name: string) => path.join(testData, "tokenizers", name);

    it("says nothing of pairs that belong together", async () => {
      expect(await codes("bert_tiniest", null)).toEqual([]);
      expect(await codes("bert_tiniest", vocabulary("bert-base-uncased"))).toEqual([]);
      expect(await codes("fake_gpt2", "gpt2")).toEqual([]);
    });

    it("knows a vocabulary that is not the model's, of whatever kind of file", async () => {
      expect(await codes("bert_tiniest", vocabulary("covidectra-50k"))).toContain(
        "error VOCABULARY_TOO_LARGE_FOR_MODEL",
      );
      expect(await codes("bert_tiniest", vocabulary("bert-base-cased"))).toEqual(
        expect.arrayContaining(["warning VOCABULARY_SMALLER_THAN_MODEL", "warning SIZE_DIFFERS_FROM_OWN"]),
      );
      expect(await codes("fake_gpt2", vocabulary("biogpt"))).toContain("warning TOKENIZER_KIND_UNUSUAL");
      expect(await codes("tiny_gpt2", null)).toContain("error TOKENIZER_NOT_OPENED");
    });
  });
});
