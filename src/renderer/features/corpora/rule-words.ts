// What a rule of a ledger means, in a few words; the names themselves are those of docs/formats/corpus.md.
const words: Readonly<Record<string, string>> = {
  "no-text": "neither title nor text",
  "half-characters": "a character was cut in half",
  superseded: "a newer version of the record is there",
  deleted: "taken back by the publisher",
  "id-made-unique": "another document has its id",
  "member-refused": "a file of an archive that cannot be read",
  "source-refused": "a file that cannot be read",
  boilerplate: "sentences on who owns the text, removed",
  "too-short": "too few words",
  "too-long": "too many words",
  language: "in another language",
  symbols: "too many symbols",
  digits: "too many digits",
  "repeated-lines": "the same lines again",
  "repeated-runs": "the same words in a row again",
  "word-length": "words too short or too long on average",
  duplicate: "the same words as another",
  "near-duplicate": "almost the same as another",
};

export function ruleWords(rule: string): string {
  return words[rule] ?? "";
}
