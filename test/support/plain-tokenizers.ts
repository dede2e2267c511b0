// Tokenizers as their papers have them, written to be read: on bytes, in quadratic time, without memory of anything. The
// engine's are held against them where no other library takes the input: bytes that are not UTF-8, and very long words.

/** A character of UTF-8, or one byte that is part of none: U+FFFD, with that byte kept. */
export type PlainCharacter = { readonly text: string; readonly bytes: readonly number[] };

/** The ranges of well-formed UTF-8 (Unicode Standard, table 3-7): first byte, and what the second may be. */
const sequences: readonly (readonly [number, number, number, number, number])[] = [
  [0x00, 0x7f, 1, 0, 0],
  [0xc2, 0xdf, 2, 0x80, 0xbf],
  [0xe0, 0xe0, 3, 0xa0, 0xbf],
  [0xe1, 0xec, 3, 0x80, 0xbf],
  [0xed, 0xed, 3, 0x80, 0x9f],
  [0xee, 0xef, 3, 0x80, 0xbf],
  [0xf0, 0xf0, 4, 0x90, 0xbf],
  [0xf1, 0xf3, 4, 0x80, 0xbf],
  [0xf4, 0xf4, 4, 0x80, 0x8f],
];

export function plainCharacters(bytes: Uint8Array): readonly PlainCharacter[] {
  const characters: PlainCharacter[] = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at] ?? 0;
    const found = sequences.find(([low, high]) => first >= low && first <= high);
    const length = found?.[2] ?? 0;
    const part = [...bytes.subarray(at, at + length)];
    const isWhole =
      found !== undefined &&
      part.length === length &&
      part.every((byte, index) =>
        index === 0 ? true : index === 1 ? byte >= found[3] && byte <= found[4] : byte >= 0x80 && byte <= 0xbf,
      );
    characters.push(
      isWhole ? { text: Buffer.from(part).toString("utf8"), bytes: part } : { text: "\ufffd", bytes: [first] },
    );
    at += isWhole ? length : 1;
  }
  return characters;
}

/** Whether the character is in the bytes as it reads, and no byte that is part of none. */
function isText({ text, bytes }: PlainCharacter): boolean {
  return Buffer.from(text).equals(Buffer.from(bytes));
}

/** NFKC of the text between bytes that are none. */
export function plainNfkc(characters: readonly PlainCharacter[]): readonly PlainCharacter[] {
  const out: PlainCharacter[] = [];
  let run = "";
  const endRun = (): void => {
    out.push(...plainCharacters(Buffer.from(run.normalize("NFKC"))));
    run = "";
  };
  for (const each of characters) {
    if (isText(each)) {
      run += each.text;
    } else {
      endRun();
      out.push(each);
    }
  }
  endRun();
  return out;
}

/** GPT-2's words: its pattern over the characters, and the bytes that they stand for. */
export function plainGpt2Words(bytes: Uint8Array): readonly (readonly number[])[] {
  const characters = plainCharacters(bytes);
  const pattern =
    /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
  const words: (readonly number[])[] = [];
  let at = 0;
  for (const [word] of characters
    .map(({ text }) => text)
    .join("")
    .matchAll(pattern)) {
    const count = Array.from(word).length;
    words.push(characters.slice(at, at + count).flatMap((each) => each.bytes));
    at += count;
  }
  return words;
}

/** Merges the pair of the lowest rank, the leftmost of those, until none is left. Symbols are strings of bytes. */
export function plainMerge(
  symbols: readonly string[],
  rankOf: (left: string, right: string) => number | undefined,
): readonly string[] {
  const parts = [...symbols];
  for (;;) {
    let best = Number.POSITIVE_INFINITY;
    let bestAt = -1;
    for (let index = 0; index + 1 < parts.length; index += 1) {
      const rank = rankOf(parts[index] ?? "", parts[index + 1] ?? "") ?? Number.POSITIVE_INFINITY;
      if (rank < best) {
        best = rank;
        bestAt = index;
      }
    }
    if (bestAt < 0) {
      return parts;
    }
    parts.splice(bestAt, 2, `${parts[bestAt]}${parts[bestAt + 1]}`);
  }
}

/**
 * BERT's: controls and what is not UTF-8 go, white space cuts, ideographs and punctuation stand alone, then the longest
 * piece first. Without lower case, for ASCII and what has no accents.
 */
export function plainBert(bytes: Uint8Array, pieces: ReadonlyMap<string, number>): readonly number[] {
  const unknown = pieces.get("[UNK]") ?? -1;
  const cleaned = plainCharacters(bytes)
    .map(({ text }) => text)
    .filter(
      (text) => text !== "\ufffd" && text !== "\0" && (/[\t\n\r]/.test(text) || !/[\p{Cc}\p{Cf}\p{Co}]/u.test(text)),
    )
    .map((text) => (/[\u4e00-\u9fff!-/:-@[-`{-~]|\p{P}/u.test(text) ? ` ${text} ` : text))
    .join("");
  return cleaned
    .split(/\p{White_Space}+/u)
    .filter((word) => word !== "")
    .flatMap((word) => {
      const characters = Array.from(word);
      if (characters.length > 100) {
        return [unknown];
      }
      const ids: number[] = [];
      let at = 0;
      while (at < characters.length) {
        let end = characters.length;
        const piece = () => (at > 0 ? "##" : "") + characters.slice(at, end).join("");
        while (end > at && !pieces.has(piece())) {
          end -= 1;
        }
        if (end === at) {
          return [unknown];
        }
        ids.push(pieces.get(piece()) ?? unknown);
        at = end;
      }
      return ids;
    });
}

/**
 * Unigram over one word: of all ways to cut it the one of the highest sum of scores, the first found of equals; a
 * character that is no piece costs 10 more than the least likely piece, and neighbours of those are one unknown token.
 */
export function plainUnigram(
  characters: readonly PlainCharacter[],
  pieces: ReadonlyMap<string, { readonly id: number; readonly score: number }>,
  unknown: number,
): readonly number[] {
  const penalty = Math.min(...[...pieces.values()].map(({ score }) => score)) - 10;
  const longest = Math.max(...[...pieces.keys()].map((piece) => Array.from(piece).length));
  const best = characters.map(() => ({ score: Number.NEGATIVE_INFINITY, begin: 0, id: unknown }));
  const scoreAt = (end: number) => (end === 0 ? 0 : (best[end - 1]?.score ?? 0));
  for (let begin = 0; begin < characters.length; begin += 1) {
    for (let end = begin + 1; end <= Math.min(characters.length, begin + longest); end += 1) {
      const part = characters.slice(begin, end);
      // A byte that is not UTF-8 is never part of a piece, not even of one that holds U+FFFD.
      const piece = part.every(isText) ? pieces.get(part.map(({ text }) => text).join("")) : undefined;
      const score = piece?.score ?? (end === begin + 1 ? penalty : Number.NaN);
      if (scoreAt(begin) + score > (best[end - 1]?.score ?? 0)) {
        best[end - 1] = { score: scoreAt(begin) + score, begin, id: piece?.id ?? unknown };
      }
    }
  }
  const ids: number[] = [];
  for (let end = characters.length; end > 0; end = best[end - 1]?.begin ?? 0) {
    const id = best[end - 1]?.id ?? unknown;
    if (id !== unknown || ids.at(-1) !== unknown) {
      ids.push(id);
    }
  }
  return ids.toReversed();
}
