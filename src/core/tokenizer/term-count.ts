// How often a term stands in a text as itself: not as part of a longer word. A leading space belongs to the term, as it
// does to a GPT-2 token.

const letter = /[\p{L}\p{M}]/u;
const digit = /\p{N}/u;

type Kind = "letter" | "digit" | "other";

function kindAt(text: string, at: number): Kind {
  const code = text.codePointAt(at);
  const character = code === undefined ? "" : String.fromCodePoint(code);
  return letter.test(character) ? "letter" : digit.test(character) ? "digit" : "other";
}

function kindBefore(text: string, at: number): Kind {
  if (at === 0) {
    return "other";
  }
  // A low surrogate is the second half of the character before.
  const unit = text.charCodeAt(at - 1);
  const isLow = unit >= 0xdc00 && unit <= 0xdfff;
  return kindAt(text, at - (isLow && at > 1 ? 2 : 1));
}

export function countTerm(text: string, term: string): number {
  const first = kindAt(term, 0);
  const last = kindBefore(term, term.length);
  let count = 0;
  for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + term.length)) {
    // A letter goes on a word of letters, a digit a number; anything else is a border.
    const isWholeBefore = first === "other" || kindBefore(text, at) !== first;
    const isWholeAfter = last === "other" || kindAt(text, at + term.length) !== last;
    if (isWholeBefore && isWholeAfter) {
      count += 1;
    }
  }
  return count;
}
