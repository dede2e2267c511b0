// Strict UTF-8: finds the first byte that is not part of a whole character, so that a sentence can name the place. Only
// called after the platform's own decoder has refused, so it may be plain.

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Bytes of the character that begins at `at`; 0 where none does. */
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const second = bytes[at + 1];
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return isContinuation(second) ? 2 : 0;
  }
  if (first >= 0xe0 && first <= 0xef) {
    // E0 would be overlong below A0, ED a surrogate from A0 on.
    const low = first === 0xe0 ? 0xa0 : 0x80;
    const high = first === 0xed ? 0x9f : 0xbf;
    const isWhole = second !== undefined && second >= low && second <= high && isContinuation(bytes[at + 2]);
    return isWhole ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const low = first === 0xf0 ? 0x90 : 0x80;
    const high = first === 0xf4 ? 0x8f : 0xbf;
    const isWhole =
      second !== undefined &&
      second >= low &&
      second <= high &&
      isContinuation(bytes[at + 2]) &&
      isContinuation(bytes[at + 3]);
    return isWhole ? 4 : 0;
  }
  return 0;
}

/** Offset of the first byte that is not UTF-8, or null. */
export function firstInvalidUtf8(bytes: Uint8Array): number | null {
  let at = 0;
  while (at < bytes.length) {
    const length = characterLength(bytes, at);
    if (length === 0) {
      return at;
    }
    at += length;
  }
  return null;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text, or null where it is not UTF-8. A byte order mark stays. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}
