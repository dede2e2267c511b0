// Text that is hard on tokenizers: what begins, ends or looks like words in awkward ways, and long runs of little.
import { pseudoRandom } from "./engine.ts";

const pieces = [
  ..." |  |\n|\r\n|\t|\v\f|\u00a0|\u2003|\u3000|\u0085|\ufeff|\u200b|\u2028|\u001c|\u0000|\u007f".split("|"),
  ..."'s|'S|'t|'re|'ve|'m|'ll|'d|'|''|’s| don't|!|--|...|_|<|endoftext|>".split("|"),
  ..."a|Z|word| the|é|e\u0301|ß|ﬁ|İ|中文|日本語|한국어|खि|กำ|العربية|\u0300|1|42|²|Ⅷ|٣|½|IL-2Rα|β-blocker".split("|"),
  ..."😀|👩‍🔬|🇩🇪|𝔘|𠀀|\u{e0041}|\u{10ffff}".split("|"),
];

/** Well-formed: peers refuse or replace lone surrogates each in its own way. */
export function nastyText(seed: number, length: number): string {
  const random = pseudoRandom(seed);
  let text = "";
  for (let index = 0; index < length; index += 1) {
    const choice = random(20);
    if (choice < 17) {
      text += pieces[random(pieces.length)] ?? "";
    } else {
      const codePoint = random(choice === 17 ? 0x3000 : 0x10_f800);
      text += String.fromCodePoint(codePoint >= 0xd800 ? codePoint + 0x800 : codePoint);
    }
  }
  return text;
}

/** Words of up to ten thousand bytes. */
export function longWords(): readonly string[] {
  const random = pseudoRandom(5);
  const from = (alphabet: string, length: number) =>
    Array.from({ length }, () => alphabet[random(alphabet.length)] ?? "").join("");
  return [
    "a".repeat(10_000),
    from("ACGT", 10_000),
    from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 10_000),
    from("0123456789", 3000),
    from("中文字語日", 2000),
    "-".repeat(5000),
    " ".repeat(5000),
    "\n".repeat(3000),
    "😀".repeat(1000),
  ];
}
