// Models and files as other people's programs leave them: opened, described and converted. Those that are in the shared
// data only are skipped where it is not here ($ASSAY_TEST_DATA).
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { describeModel } from "#core/models/describe";
import { exportModel } from "#core/models/export";
import { readGgufHeader } from "#core/models/gguf/reader";
import { readTokenizerFacts } from "#core/models/tokenizer-facts";
import { assay } from "../support/command-line.ts";
import { bioMedLm, writeHeadersOnly } from "../support/foreign-models.ts";
import { temporaryFolder } from "../support/workspace.ts";

const testData =
  process.env["ASSAY_TEST_DATA"] ?? path.resolve(import.meta.dirname, "..", "..", "..", "shared", "data");
const shared = (...parts: readonly string[]): string => path.join(testData, ...parts);
const isHere = existsSync(shared("models", "fake_gpt2"));

describe("a model of 2.7 billion parameters", () => {
  it("is described from its headers alone: name, exact count, tensors, and what its tokenizer is not", async () => {
    await using folder = await temporaryFolder();
    await writeHeadersOnly(folder.path, bioMedLm);
    const config = path.join(folder.path, "config.json");
    const json = JSON.parse(await readFile(config, "utf8")) as Record<string, unknown>;
    await writeFile(config, JSON.stringify({ ...json, scale_attn_by_inverse_layer_idx: true }));
    const described = await describeModel(folder.path, { workspace: folder.path });
    expect(described).toMatchObject({
      publishedName: "BioMedLM 2.7B",
      parameters: { value: 2_594_247_680 },
      architecture: "GPT2LMHeadModel",
      shape: { layers: 32, width: 2560, heads: 20, inner: 10_240, context: 1024, vocabulary: 28_896 },
      missing: [],
      unexpected: [],
    });
    expect(described.tensors).toHaveLength(2 + 32 * 12 + 2);
    expect(described.files[0]?.sizeBytes).toBeGreaterThan(4 * 2_594_247_680);
    expect(described.findings.map(({ code }) => code).toSorted()).toEqual([
      "INVERSE_LAYER_SCALING",
      "TOKENIZER_MISSING",
    ]);
  });

  it("is linted against GPT-2's tokenizer, which has ids that it has no rows for", async () => {
    await using folder = await temporaryFolder();
    await writeHeadersOnly(folder.path, bioMedLm);
    const result = await assay(["convert", "--check", "--model", folder.path, "--tokenizer", "gpt2"]);
    expect(result.code).toBe(1);
    expect(result.stdout).toMatch(/error: This is GPT-2's tokenizer.*BioMedLM's tokenizer/);
  });
});

describe.skipIf(!isHere)("the shared checkpoints", () => {
  it("are described, and their tokenizers found to fit", async () => {
    for (const [name, expected, codes] of [
      ["tiny_gpt2", { family: "gpt2", head: "causal-lm", architecture: "GPT2Model" }, []],
      ["fake_gpt2", { family: "gpt2", head: "causal-lm", architecture: "GPT2LMHeadModel" }, ["TOKENIZER_MISSING"]],
      ["bert_tiniest", { family: "bert", head: "masked-lm", architecture: "BertLMHeadModel" }, []],
    ] as const) {
      const described = await describeModel(shared("models", name), { workspace: testData });
      expect(described, name).toMatchObject({ ...expected, missing: [], unexpected: [], format: "safetensors" });
      expect(
        described.findings.map(({ code }) => code),
        name,
      ).toEqual(codes);
      // The count is that of the file: none of these has a tensor twice.
      const inFile = described.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(described.parameters.value, name).toBe(inFile);
    }
  });

  it("are written again and say the same to the bit", async () => {
    await using folder = await temporaryFolder();
    for (const name of ["tiny_gpt2", "fake_gpt2", "bert_tiniest"]) {
      const target = path.join(folder.path, name);
      const { comparison } = await exportModel(
        {
          source: shared("models", name),
          target,
          format: "safetensors",
          type: "f32",
          shardBytes: null,
          mergeAdapter: false,
        },
        { workspace: folder.path, threads: 1 },
      );
      expect(comparison, name).toMatchObject({ maxDifference: 0 });
    }
  });

  it("are told from vocabularies that belong to other models", async () => {
    for (const [model, tokenizer, code] of [
      ["fake_gpt2", "gpt2", null],
      ["bert_tiniest", "bert-base-uncased", null],
      ["bert_tiniest", "bert-base-cased", "VOCABULARY_SMALLER_THAN_MODEL"],
      ["bert_tiniest", "covidectra-50k", "VOCABULARY_TOO_LARGE_FOR_MODEL"],
      ["fake_gpt2", "bert-base-cased", "TOKENIZER_KIND_UNUSUAL"],
    ] as const) {
      const { findings } = await describeModel(shared("models", model), {
        workspace: testData,
        tokenizer: shared("tokenizers", tokenizer),
      });
      const codes = findings.map((finding) => finding.code);
      if (code === null) {
        expect(codes, `${model} ${tokenizer}`).toEqual([]);
      } else {
        expect(codes, `${model} ${tokenizer}`).toContain(code);
      }
    }
  });
});

describe.skipIf(!isHere)("GGUF files that a program wrote again as text", () => {
  it("are refused: every byte above 127 of theirs is another", async () => {
    for (const name of ["ggml-vocab-gpt-2.gguf", "ggml-vocab-bert-bge.gguf"]) {
      const file = shared("gguf", name);
      expect((await readFile(file)).includes(Buffer.from("\ufffd"))).toBe(true);
      expect(() => readGgufHeader(file)).toThrow(expect.objectContaining({ code: "GGUF_DAMAGED" }) as Error);
    }
  });
});

describe.skipIf(!isHere)("a bare vocab.txt", () => {
  it("is BERT's WordPiece, with the ids of its special tokens", async () => {
    expect(await readTokenizerFacts(shared("tokenizers", "bert-base-uncased"))).toMatchObject({
      kind: "wordpiece",
      vocabSize: 30_522,
      special: { "[CLS]": 101, "[MASK]": 103 },
      hasCapitals: false,
    });
  });
});
