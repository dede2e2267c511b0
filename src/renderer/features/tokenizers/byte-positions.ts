// Tokenizers speak in byte offsets into UTF-8, the window draws UTF-16 text. This is the one place where the two meet:
// a table from byte offset to UTF-16 index, made once for a text.

export type BytePositions = {
  readonly byteLength: number;
  /** The UTF-16 index at which the character holding this byte begins; the text's length at the end. */
  readonly characterStart: (byteOffset: number) => number;
  /** Whether this offset falls between two characters rather than inside one. */
  readonly isBoundary: (byteOffset: number) => boolean;
};

function utf8Width(codePoint: number): number {
  return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x1_0000 ? 3 : 4;
}

/** A lone surrogate counts three bytes, as the U+FFFD it is encoded to does. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    bytes += utf8Width(character.codePointAt(0) ?? 0);
  }
  return bytes;
}

export function bytePositions(text: string): BytePositions {
  const byteLength = utf8Length(text);
  if (byteLength === text.length) {
    // ASCII, the usual case for abstracts: offsets are indices.
    const clamp = (offset: number) => Math.max(0, Math.min(offset, byteLength));
    return { byteLength, characterStart: clamp, isBoundary: () => true };
  }
  const starts = new Uint32Array(byteLength + 1);
  const boundaries = new Uint8Array(byteLength + 1);
  let byte = 0;
  let index = 0;
  for (const character of text) {
    const width = utf8Width(character.codePointAt(0) ?? 0);
    boundaries[byte] = 1;
    starts.fill(index, byte, byte + width);
    byte += width;
    index += character.length;
  }
  starts[byteLength] = text.length;
  boundaries[byteLength] = 1;
  const clamp = (offset: number) => Math.max(0, Math.min(offset, byteLength));
  return {
    byteLength,
    characterStart: (offset) => starts[clamp(offset)] ?? text.length,
    isBoundary: (offset) => boundaries[clamp(offset)] === 1,
  };
}
