import { describe, expect, it } from "vitest";
import type { Piece } from "#shared/ipc/tokenizers.contract";
import { bytePositions, utf8Length } from "./byte-positions.ts";
import { layoutRuns, pieceAtByte, type Run, visibleText } from "./piece-layout.ts";
import { wrapText } from "./wrap-text.ts";

/** Cuts the UTF-8 bytes of a text at the given offsets. */
function cut(text: string, ...ends: number[]): readonly Piece[] {
  const length = utf8Length(text);
  return [...ends, length].map((end, index) => ({
    id: index,
    piece: "",
    start: index === 0 ? 0 : (ends[index - 1] ?? 0),
    end,
  }));
}

function rows(text: string, pieces: readonly Piece[], columns = 80): readonly (readonly Run[])[] {
  return layoutRuns(text, pieces, bytePositions(text), wrapText(text, columns));
}

/** Reads a row back: every character of the text must be drawn exactly once. */
function drawn(layout: readonly (readonly Run[])[]): string {
  return layout
    .flat()
    .map((run) => (run.kind === "text" ? run.text : run.character))
    .join("");
}

describe("bytePositions", () => {
  it("maps byte offsets to UTF-16 indices through two, three and four byte characters", () => {
    const positions = bytePositions("aé€😀z");
    expect(positions.byteLength).toBe(11);
    expect([0, 1, 2, 3, 5, 6, 9, 10, 11].map(positions.characterStart)).toEqual([0, 1, 1, 2, 2, 3, 3, 5, 6]);
    expect([0, 1, 2, 3, 4, 6, 7, 10, 11].map(positions.isBoundary)).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      true,
    ]);
  });

  it("counts a lone surrogate as the replacement character it is encoded to", () => {
    expect(utf8Length("\ud800")).toBe(new TextEncoder().encode("\ud800").length);
  });
});

describe("layoutRuns", () => {
  it("draws each piece as one run where pieces end between characters", () => {
    expect(rows("Immuno cells", cut("Immuno cells", 3, 6))).toEqual([
      [
        { kind: "text", pieceIndex: 0, text: "Imm", isFirst: true, isLast: true },
        { kind: "text", pieceIndex: 1, text: "uno", isFirst: true, isLast: true },
        { kind: "text", pieceIndex: 2, text: " cells", isFirst: true, isLast: true },
      ],
    ]);
  });

  it("draws a character once when several pieces share its bytes", () => {
    const text = "β😀";
    const layout = rows(text, cut(text, 1, 3, 5));
    expect(drawn(layout)).toBe(text);
    expect(layout[0]).toEqual([
      {
        kind: "shared",
        character: "β",
        parts: [
          { pieceIndex: 0, byteCount: 1, isFirst: true },
          { pieceIndex: 1, byteCount: 1, isFirst: true },
        ],
      },
      {
        kind: "shared",
        character: "😀",
        parts: [
          { pieceIndex: 1, byteCount: 1, isFirst: false },
          { pieceIndex: 2, byteCount: 2, isFirst: true },
          { pieceIndex: 3, byteCount: 1, isFirst: true },
        ],
      },
    ]);
  });

  it("splits a piece of whole characters and part of the next into a run and a shared cell", () => {
    const text = "a 😀b";
    const layout = rows(text, cut(text, 1, 4));
    expect(drawn(layout)).toBe(text);
    expect(layout[0]?.map((run) => run.kind)).toEqual(["text", "text", "shared", "text"]);
  });

  it("cuts a piece at the end of a line and says which part begins and ends it", () => {
    const text = "abcdefghijkl";
    expect(rows(text, cut(text), 8)).toEqual([
      [{ kind: "text", pieceIndex: 0, text: "abcdefgh", isFirst: true, isLast: false }],
      [{ kind: "text", pieceIndex: 0, text: "ijkl", isFirst: false, isLast: true }],
    ]);
  });

  it("breaks rows of different tokenizers at the same places of the text", () => {
    const text = "Immunohistochemistry confirmed the cytotoxicity of the probiotic strain.\nEGFR – β-catenin";
    const lines = wrapText(text, 30);
    const positions = bytePositions(text);
    const texts = [cut(text, 7, 30, 31, 50), cut(text, 1, 2, 3, 70, 78, 79)].map((pieces) =>
      layoutRuns(text, pieces, positions, lines).map((row) => drawn([row])),
    );
    expect(texts[0]).toEqual(texts[1]);
    expect(texts[0]?.join("")).toBe(text);
  });

  it("draws every character exactly once for any cutting of bytes", () => {
    const text = "naïve β-blocker 😀 ≤0.001\n\n µg";
    const length = utf8Length(text);
    for (let step = 1; step <= 5; step += 1) {
      const ends = Array.from({ length: Math.ceil(length / step) - 1 }, (_, index) => (index + 1) * step);
      expect(drawn(rows(text, cut(text, ...ends), 12))).toBe(text);
    }
  });
});

describe("wrapText", () => {
  it("keeps words whole and lets the space lead the next line", () => {
    const text = "liquid chromatography";
    expect(wrapText(text, 14).map((line) => text.slice(line.start, line.end))).toEqual([
      "liquid",
      " chromatograph",
      "y",
    ]);
  });

  it("counts wide characters as two columns and combining marks as none", () => {
    expect(wrapText("漢字漢字漢", 8)).toEqual([
      { start: 0, end: 4 },
      { start: 4, end: 5 },
    ]);
    expect(wrapText("e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", 8)).toHaveLength(1);
  });

  it("opens a line after a newline, even at the end", () => {
    expect(wrapText("a\n", 20)).toEqual([
      { start: 0, end: 2 },
      { start: 2, end: 2 },
    ]);
    expect(wrapText("", 20)).toEqual([{ start: 0, end: 0 }]);
  });
});

describe("visibleText", () => {
  it("marks white space that is a piece of its own and leaves the space before a word", () => {
    expect(visibleText("  ")).toBe("··");
    expect(visibleText(" strain")).toBe(" strain");
    expect(visibleText("\n\t")).toBe("↵⇥");
    expect(visibleText("\u0000\u200b")).toBe("␀◌");
  });
});

describe("pieceAtByte", () => {
  it("finds the piece that holds a byte", () => {
    const pieces = cut("abcdef", 2, 4);
    expect([0, 1, 2, 5, 6].map((byte) => pieceAtByte(pieces, byte))).toEqual([0, 0, 1, 2, 3]);
  });
});
