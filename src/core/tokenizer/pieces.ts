// A token's bytes as a person reads them: whole characters as they are, other bytes as \xNN.

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

export function pieceText(bytes: Uint8Array): string {
  const whole = decode(bytes);
  if (whole !== null) {
    return whole;
  }
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    let length = Math.min(4, bytes.length - at);
    let character: string | null = null;
    for (; length > 0; length -= 1) {
      character = decode(bytes.subarray(at, at + length));
      // Longer stretches may hold several characters; that is as good.
      if (character !== null) {
        break;
      }
    }
    text += character ?? `\\x${(bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, "0")}`;
    at += Math.max(1, length);
  }
  return text;
}
