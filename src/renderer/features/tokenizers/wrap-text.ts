// Breaks a text into lines of a given number of columns. The breaks depend on the text alone, never on a tokenizer, so
// that rows of several tokenizers break at the same places and the same word stands in the same column of each.

export type TextLine = {
  /** UTF-16 range, end exclusive; a line that ends in a newline includes it. */
  readonly start: number;
  readonly end: number;
};

const WIDE =
  /\p{Extended_Pictographic}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]/u;
const ZERO_WIDTH = /\p{Mn}|\p{Me}|\ufe0f/u;

/** Columns a character takes in a monospaced line. Zero-width formats are drawn as a mark of one column. */
export function columnWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) {
    return 1;
  }
  if (ZERO_WIDTH.test(character)) {
    return 0;
  }
  return code > 0xffff || WIDE.test(character) ? 2 : 1;
}

/** Lines are full words where a word fits, else cut at the column. An empty text is one empty line. */
export function wrapText(text: string, columns: number): readonly TextLine[] {
  const limit = Math.max(8, Math.floor(columns));
  const lines: TextLine[] = [];
  let start = 0;
  let width = 0;
  let index = 0;
  let breakAt = -1;
  let widthAtBreak = 0;
  for (const character of text) {
    const next = index + character.length;
    if (character === "\n") {
      lines.push({ start, end: next });
      start = next;
      width = 0;
      breakAt = -1;
      index = next;
      continue;
    }
    const columnsOfThis = columnWidth(character);
    if (width + columnsOfThis > limit) {
      const end = breakAt > start ? breakAt : index;
      lines.push({ start, end });
      width = breakAt > start ? width - widthAtBreak : 0;
      start = end;
      breakAt = -1;
    }
    width += columnsOfThis;
    // A space leads the next line: it belongs to the piece that follows it far more often than to the one before.
    if (character === " " && index > start) {
      breakAt = index;
      widthAtBreak = width - columnsOfThis;
    }
    index = next;
  }
  if (start < text.length || lines.length === 0 || text.endsWith("\n")) {
    lines.push({ start, end: text.length });
  }
  return lines;
}
