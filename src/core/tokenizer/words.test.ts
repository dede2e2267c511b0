import { describe, expect, it } from "vitest";
import { parseMentions } from "./entities.ts";
import { parseRanks } from "./gpt2.ts";
import { pieceText } from "./pieces.ts";
import { countTerm } from "./term-count.ts";

describe("pieceText", () => {
  it("shows whole characters, and other bytes as \\xNN", () => {
    expect(pieceText(Buffer.from(" naïve"))).toBe(" naïve");
    expect(pieceText(Uint8Array.of(0xc3))).toBe("\\xC3");
    expect(pieceText(Uint8Array.of(0x41, 0xe6, 0xbc, 0x42))).toBe("A\\xE6\\xBCB");
    expect(pieceText(Uint8Array.of(0xa2, 0xf0, 0x9f, 0xa7, 0xac, 0x9f))).toBe("\\xA2🧬\\x9F");
    expect(pieceText(new Uint8Array())).toBe("");
  });
});

describe("countTerm", () => {
  it("counts a term as itself, not within a longer word", () => {
    const text = "Photosynthesis: photosynthesis, nonphotosynthesis photosyntheses. (photosynthesis)";
    expect(countTerm(text, "photosynthesis")).toBe(2);
    expect(countTerm(text, " photosynthesis")).toBe(1);
    expect(countTerm(text, "absent")).toBe(0);
  });

  it("knows letters beyond ASCII, and terms that end in none", () => {
    expect(countTerm("naïve naïveté naïve", "naïve")).toBe(2);
    expect(countTerm("IL-2 IL-23 IL-2Ra", "IL-2")).toBe(2);
    expect(countTerm("α-synuclein αβ α", "α")).toBe(2);
  });
});

describe("parseMentions", () => {
  it("reads IOB2 in two or more columns", () => {
    const text =
      "Selegiline\tB-Chemical\n-\tO\nfatty NN I-NP B-Chemical\nacid NN I-NP I-Chemical\n\n-DOCSTART- O\nnew\tI-Disease\n";
    expect(parseMentions(text, "x.tsv")).toEqual([
      { type: "Chemical", words: ["Selegiline"] },
      { type: "Chemical", words: ["fatty", "acid"] },
      { type: "Disease", words: ["new"] },
    ]);
  });

  it("keeps neighbours apart that begin anew, have another type, or stand across a sentence", () => {
    expect(parseMentions("a B-X\nb B-X\nc I-Y\n\nd I-Y\n", "x").map((mention) => mention.words)).toEqual([
      ["a"],
      ["b"],
      ["c"],
      ["d"],
    ]);
  });

  it("names the line that is none", () => {
    expect(() => parseMentions("a\tB-X\nplain text here\n", "x.tsv")).toThrow(
      /x\.tsv:2: "plain text here" is no IOB2 line/,
    );
  });
});

describe("parseRanks", () => {
  it("reads tiktoken's lines of a first rank and base64 tokens", () => {
    expect(parseRanks("! 0 IQ== Ig==\n! 2 IyM=").map((bytes) => Buffer.from(bytes).toString())).toEqual([
      "!",
      '"',
      "##",
    ]);
  });
});
