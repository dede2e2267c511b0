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

/** What a document may hold beside plain words, each in a text of its own so that a difference is easy to place. */
export function awkwardTexts(): readonly string[] {
  return [
    "a family 👨‍👩‍👧‍👦, a scientist 👩🏽‍🔬, a heart ❤️ and a flag 🏴󠁧󠁢󠁳󠁣󠁴󠁿 or 🇵🇹🇸🇮",
    "cafe\u0301 na\u0308ive Å A\u030a q\u0323\u0307 q\u0307\u0323 \u0301alone g\u0308\u0308\u0308\u0308",
    "bell\u0007 escape\u001b[0m delete\u007f next\u0085line soft\u00adhyphen zero\u200bwidth \u200ejoin\u200d",
    "NUL\u0000within \u0000 \u0000\u0000\u0000 end\u0000",
    "細胞の増殖はmRNA発現と相関した。阻害剤（10μM）投与後、2週間！",
    "세포 증식은 억제되었다. ᄒ\u1161\u11ab글",
    "ثبّط الدواءُ نموَّ الخلايا بنسبة ٤٢٪، و«لم» يظهر أثرٌ جانبيّ.",
    "התרופה עיכבה את הגידול ב־42%; दवा ने वृद्धि को रोका। ยายับยั้งการเติบโต",
    "Isparta'da ısı, İzmir'de ilaç; IĞDIR iğdır ıI iİ",
    "Straße STRASSE ẞ groß, ﬁbrosis eﬃcacy ﬂow ﬅ ĳ ŉ ǆ",
    "Ⅷ ² ½ ℃ № ™ Å Ω µ μ ﷺ Ａｂｃ１２ ｶﾞ",
    "IL-2Rα, TNF-α: p<0.05; 5′-ACGT-3′ (n=12/34), [Ca²⁺]i ≥ 1.5×10⁻³ mol·L⁻¹ — “quoted”…",
    "don't DON'T don’t we'll they've I'd 'tis O'Neill's 's",
    "  two  spaces\t\ttabs\r\nlines\n\n\nand trailing \u00a0\u2009\u3000 ",
    "",
    " ",
    "\n",
    ...longWords(),
  ];
}
