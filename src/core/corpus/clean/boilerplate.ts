// Sentences that say who owns a text rather than what it says, at the end of a line: removed, with what was removed.
import type { CleanRules } from "./rules.ts";

const builtin: readonly RegExp[] = [
  /\s*(?:Copyright\s*)?(?:©|\([Cc]\)|Copyright)\s*(?:The\s+)?(?:[A-Z][^.]{0,80}\s)?(?:19|20)\d\d\b[^\n]{0,200}$/u,
  /\s*(?:This article is protected by copyright\.\s*)?All rights reserved\.?$/iu,
  /\s*This article is protected by copyright\.?$/iu,
  /\s*Published by (?:Elsevier|Springer|Wiley|John Wiley|Oxford University Press|BMJ)[^\n]{0,120}$/u,
  /\s*\(ABSTRACT TRUNCATED(?: AT \d+ WORDS)?\)$/u,
];

/** A line may end in several of them; no more than so many are looked for. */
const MAX_ROUNDS = 4;

function stripLine(line: string, phrases: readonly string[]): string {
  let own = line;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const before = own;
    for (const phrase of phrases) {
      if (own.trimEnd().endsWith(phrase)) {
        own = own.trimEnd().slice(0, -phrase.length).trimEnd();
      }
    }
    if (own === before) {
      break;
    }
  }
  return own;
}

function stripBuiltin(line: string): string {
  // Only the end of a line is looked at, so that the time does not depend on its length.
  const tail = line.slice(-400);
  let own = tail;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const before = own;
    for (const pattern of builtin) {
      own = own.replace(pattern, "");
    }
    if (own === before) {
      break;
    }
  }
  return own === tail ? line : `${line.slice(0, line.length - tail.length)}${own}`;
}

/** The text without them, and what went; null where nothing did. */
export function removeBoilerplate(
  text: string,
  rule: NonNullable<CleanRules["boilerplate"]>,
): { readonly text: string; readonly removed: string } | null {
  const removed: string[] = [];
  const lines = text.split("\n").map((line) => {
    const own = stripLine(rule.builtin ? stripBuiltin(line) : line, rule.phrases);
    if (own !== line) {
      removed.push(line.slice(own.length).trim());
    }
    return own;
  });
  return removed.length === 0 ? null : { text: lines.join("\n"), removed: removed.join(" … ") };
}
