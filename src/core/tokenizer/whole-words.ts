// How many words of a text a tokenizer keeps whole: no token begins inside them. A word is a run of letters, marks and
// digits, as a reader would count it; the space before it may belong to its token.

const word = /[\p{L}\p{M}\p{N}]+/gu;

export type WordTally = { readonly words: number; readonly whole: number };

/** `starts` are the tokens' byte offsets in the UTF-8 text, ascending. */
export function countWholeWords(text: string, starts: ArrayLike<number>): WordTally {
  let words = 0;
  let whole = 0;
  let token = 0;
  let bytes = 0;
  let units = 0;
  for (const match of text.matchAll(word)) {
    bytes += Buffer.byteLength(text.slice(units, match.index));
    const begin = bytes;
    bytes += Buffer.byteLength(match[0]);
    units = match.index + match[0].length;
    while (token < starts.length && (starts[token] ?? 0) <= begin) {
      token += 1;
    }
    words += 1;
    whole += token >= starts.length || (starts[token] ?? 0) >= bytes ? 1 : 0;
  }
  return { words, whole };
}
