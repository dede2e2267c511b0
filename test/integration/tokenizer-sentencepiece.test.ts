// Our Unigram as SentencePiece's .model, read by sentencepiece itself (Debian's python3-sentencepiece).
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { NativeTokenizer } from "#core/engine/addon";
import { convertTokenizer } from "#core/tokenizer/convert";
import { loadTokenizer } from "#core/tokenizer/load";
import { trainTokenizer } from "#core/tokenizer/train";
import { abstracts, testData, textsOf, withoutAbstracts } from "../support/hugging-face.ts";
import { temporaryFolder } from "../support/workspace.ts";

// It belongs to Debian's interpreter, which need not be the first in PATH.
const python = "/usr/bin/python3";
const withoutPeer = spawnSync(python, ["-c", "import sentencepiece"]).status !== 0;
const reason = withoutPeer ? " (python3-sentencepiece is not installed: apt-get install python3-sentencepiece)" : "";
const sample = path.resolve(import.meta.dirname, "..", "..", "resources", "sample", "abstracts.jsonl");

const program = `
import json, sys, sentencepiece
model = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
texts = json.load(open(sys.argv[2], encoding="utf-8"))
print(json.dumps({"ids": [model.encode(text) for text in texts], "scores": [model.get_score(i) for i in range(len(model))],
                  "pieces": [model.id_to_piece(i) for i in range(len(model))], "unknown": model.unk_id(), "end": model.eos_id()}))
`;
type Read = {
  readonly ids: readonly (readonly number[])[];
  readonly scores: readonly number[];
  readonly pieces: readonly string[];
  readonly unknown: number;
  readonly end: number;
};

async function readBySentencePiece(tokenizer: NativeTokenizer, texts: readonly string[]): Promise<Read> {
  await using folder = await temporaryFolder();
  const [model = ""] = await convertTokenizer(tokenizer, "sentencepiece", folder.path);
  const input = path.join(folder.path, "texts.json");
  await writeFile(input, JSON.stringify(texts));
  return JSON.parse(
    execFileSync(python, ["-c", program, model, input], { encoding: "utf8", maxBuffer: 1 << 30 }),
  ) as Read; // as: the program above prints it
}

/**
 * The same ids; where they differ, the two ways to cut have scores that differ by less than sentencepiece's sums in 32
 * bits can tell, and ours is not the lower. Gives how often that was.
 */
function expectSameButForTies(ours: NativeTokenizer, read: Read, texts: readonly string[]): number {
  const sum = (ids: readonly number[]) => ids.reduce((total, id) => total + (read.scores[id] ?? Number.NaN), 0);
  let ties = 0;
  for (const [index, text] of texts.entries()) {
    const own = [...ours.encode(text).ids];
    const theirs = read.ids[index] ?? [];
    if (own.join() !== theirs.join()) {
      const better = sum(own) - sum(theirs);
      const name = JSON.stringify(text.slice(0, 200));
      expect(better, name).toBeGreaterThan(-1e-9);
      expect(better, name).toBeLessThan(Math.abs(sum(own)) * 2 ** -22);
      ties += 1;
    }
  }
  return ties;
}

const awkward = [
  "",
  " ",
  "  two  spaces \t tab\nline\r\nend ",
  "caf\u00e9 cafe\u0301 \u1e69 s\u0323\u0307 \u1ebf \u00ea\u0301 A\u030a \u212b",
  "\ufb01brosis \u00bd \u00b2 \u2460 \uff21\uff42\uff11 \u2122 \u2126 \u00b5 \u03bc \ufdfa \u3392 \u01c4",
  "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab \uac00\u11a8 \u4e2d\u6587 \uf900 \u304b\u3099 \uff76\uff9e",
  "nbsp\u00a0em\u2003ideographic\u3000line\u2028next\u0085zero\u200bwidth\ufeff",
  "\u{1f469}\u{1f3fd}\u200d\u{1f52c} \u{1d518} \u{20000} \u{10ffff} \u0000 \u0007",
  "<unk> <|endoftext|> <s> </s>",
  "a".repeat(10_000),
  "ACGT".repeat(2500),
];

describe.skipIf(withoutPeer)(`sentencepiece${reason}`, () => {
  it("reads what we write of a trained Unigram, and encodes the same", async () => {
    const { tokenizer } = await trainTokenizer({ type: "unigram", vocabSize: 2000, minFrequency: 2, inputs: [sample] });
    const texts = [...(await textsOf(sample)), ...awkward];
    const read = await readBySentencePiece(tokenizer, texts);
    expect([read.pieces.length, read.unknown, read.end]).toEqual([2000, 0, tokenizer.endOfTextId]);
    expect(read.pieces).toEqual(Array.from({ length: 2000 }, (_, id) => tokenizer.piece(id)));
    expect(expectSameButForTies(tokenizer, read, texts)).toBeLessThan(texts.length / 50);
  });

  it("reads what we write of its own models", async () => {
    for (const name of ["unigram", "unigram-bytes", "unigram-plain"]) {
      const fixtures = path.resolve(import.meta.dirname, "..", "fixtures", "sentencepiece");
      const tokenizer = await loadTokenizer(path.join(fixtures, `${name}.model`));
      const texts = [...(await textsOf(sample)), ...awkward.filter((text) => !text.includes("\u0000"))];
      const read = await readBySentencePiece(tokenizer, texts);
      expect(expectSameButForTies(tokenizer, read, texts), name).toBeLessThan(texts.length / 50);
    }
  });

  it.skipIf(withoutAbstracts)(
    "encodes all abstracts the same with a vocabulary trained on some (shared data)",
    async () => {
      const inputs = [path.join(testData, "pubmed", "train_small.jsonl")];
      const { tokenizer } = await trainTokenizer({ type: "unigram", vocabSize: 8000, minFrequency: 2, inputs });
      const texts = await abstracts();
      const read = await readBySentencePiece(tokenizer, texts);
      expect(expectSameButForTies(tokenizer, read, texts)).toBeLessThan(texts.length / 50);
    },
    600_000,
  );
});

describe("a Unigram as .model", () => {
  it("reads back as the same tokenizer", async () => {
    await using folder = await temporaryFolder();
    const { tokenizer } = await trainTokenizer({
      type: "unigram",
      vocabSize: 1500,
      minFrequency: 2,
      inputs: [sample],
      isMasked: true,
      protectedWords: ["Zyprexa"],
    });
    const [file = ""] = await convertTokenizer(tokenizer, "sentencepiece", folder.path);
    const again = await loadTokenizer(folder.path);
    expect([again.vocabSize, again.endOfTextId, again.roleId("unk")]).toEqual([1500, tokenizer.endOfTextId, 0]);
    for (const text of [...(await textsOf(sample)), ...awkward, "Zyprexa [MASK]"]) {
      expect([...again.encode(text).ids], JSON.stringify(text.slice(0, 100))).toEqual([...tokenizer.encode(text).ids]);
    }
    const [written = ""] = await convertTokenizer(again, "sentencepiece", path.join(folder.path, "again"));
    expect(await readFile(written)).toEqual(await readFile(file));
  });

  it("is refused for the kinds and steps that a .model cannot say", async () => {
    await using folder = await temporaryFolder();
    for (const type of ["byte-bpe", "wordpiece"] as const) {
      const { tokenizer } = await trainTokenizer({ type, vocabSize: 600, minFrequency: 2, inputs: [sample] });
      await expect(convertTokenizer(tokenizer, "sentencepiece", folder.path)).rejects.toMatchObject({
        code: "NOT_SUPPORTED",
        message: expect.stringContaining("only Unigram"),
      });
    }
    expect(existsSync(path.join(folder.path, "tokenizer.model"))).toBe(false);
  });

  it("never finds a special token in text, trained or read again", async () => {
    const { tokenizer } = await trainTokenizer({ type: "unigram", vocabSize: 1500, minFrequency: 2, inputs: [sample] });
    const found = [...tokenizer.encode("<|endoftext|> a <unk>").ids];
    expect(found).not.toContain(tokenizer.endOfTextId);
  });
});
