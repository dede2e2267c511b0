// The texts of test/fixtures/tokenizer/nasty.jsonl: each takes one way in which text is awkward to its end, where the
// random mixtures of nasty-text.ts only touch it. A test checks that the file is what this makes.
// To write it again: node --experimental-strip-types test/support/nasty-file.ts
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const nastyFile = path.resolve(import.meta.dirname, "..", "fixtures", "tokenizer", "nasty.jsonl");

function permutations<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  return items.length === 0
    ? [[]]
    : items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}

const character = (code: number) => String.fromCodePoint(code);
const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => character(first + index));

/** Marks above, below, overlaid and joined, of four combining classes, on what composes with some of them. */
function marks(): readonly string[] {
  const orders = permutations(["\u0301", "\u0323", "\u0338", "\u0345"]).map((order) => order.join(""));
  return ["e", "\u03b1", "a\u0308", "\u05d0", "1", " ", "\u1100\u1161"].map((base) =>
    orders.map((order) => `${base}${order}`).join(" "),
  );
}

function emoji(): readonly string[] {
  const tones = range(0x1f3fb, 0x1f3ff);
  const people = ["\u{1f469}", "\u{1f468}", "\u{1f9d1}"];
  const work = ["\u{1f52c}", "\u2695\ufe0f", "\u{1f9ec}", "\u{1f393}"];
  return [
    people.flatMap((person) => tones.map((tone) => `${person}${tone}`)).join(""),
    people.flatMap((person) => tones.flatMap((tone) => work.map((each) => `${person}${tone}\u200d${each}`))).join(" "),
    `${people.join("\u200d")}\u200d\u{1f467}\u200d\u{1f466}`.repeat(3),
    "\u2764 \u2764\ufe0e \u2764\ufe0f \u2764\ufe0f\u200d\u{1f525} 1\ufe0f\u20e3 #\ufe0f\u20e3 *\ufe0f\u20e3",
    "\u{1f1f5}\u{1f1f9}\u{1f1f8}\u{1f1ee}\u{1f1e9}a\u{1f1ea}\u200d\u200d \u{1f3fb}alone \u200dx",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} \u{1f44b}\u{1f3fd}world",
  ];
}

/** Every white space of Unicode, and what looks like one and is none, between, before, after and in runs. */
function spaces(): readonly string[] {
  const all = [
    ...range(0x09, 0x0d),
    " ",
    "\u0085",
    "\u00a0",
    "\u1680",
    ...range(0x2000, 0x200a),
    "\u2028",
    "\u2029",
    "\u202f",
    "\u205f",
    "\u3000",
  ];
  const none = ["\u001c", "\u001f", "\u180e", "\u200b", "\u200c", "\u2060", "\ufeff", "\u2800"];
  const every = [...all, ...none];
  return [
    every.map((space) => `a${space}b`).join("|"),
    every.map((space) => `${space}a${space}${space}1${space} ${space}!`).join(""),
    all.join(""),
    `x${all.join("")}y${all.toReversed().join("")} z`,
    every.map((space) => ` ${space}word`).join(""),
    every.map((space) => `'s${space}'ll`).join(""),
  ];
}

/** In every mixture of capitals, after letters, digits, spaces and nothing, with the two letters that fold to s and k. */
function contractions(): readonly string[] {
  const cases = (word: string): readonly string[] =>
    word === ""
      ? [""]
      : cases(word.slice(1)).flatMap((rest) => [
          word.slice(0, 1).toLowerCase() + rest,
          word.slice(0, 1).toUpperCase() + rest,
        ]);
  const endings = ["s", "t", "re", "ve", "m", "ll", "d"].flatMap(cases);
  return [
    endings.map((ending) => `they'${ending} THEY'${ending} they’${ending}`).join(" "),
    endings.map((ending) => `'${ending}x 1'${ending} '${ending}'${ending} ''${ending}`).join(" "),
    endings.map((ending) => ` '${ending}\n'${ending}\t'${ending}A`).join(""),
    "it'\u017f it'\u017f\u017f 'l\u0131 'LL\u0130 we'\u212aind d'D'd'",
  ];
}

function digits(): readonly string[] {
  const lengths = Array.from({ length: 12 }, (_, length) => "1234567890123".slice(0, length + 1));
  return [
    lengths.join(" "),
    lengths.map((each) => `a${each}b${each}`).join("-"),
    lengths.map((each) => `${each}.${each},${each}%`).join(" "),
    "\u0661\u0662\u0663\u0664 \u096a\u096b\u096c\u096d\u096e \uff11\uff12\uff13\uff14 \u{1d7ce}\u{1d7cf}\u{1d7d0}\u{1d7d1}",
    "\u00b2\u00b3\u00b9\u2070 \u00bd\u2153\u215b \u2160\u2161\u2162\u2163 \u2460\u2461 \u4e00\u4e8c\u4e09 1\u00b22\u00b3",
    "5,300 1.5\u00d710\u207b\u00b3 0x1F 1e-10 3\u20444 12:34:56 2026-11-21 IL-2 CD4+ p53 H2O",
  ];
}

const scripts: readonly string[] = [
  "\u062b\u0628\u0651\u0637 \u0627\u0644\u062f\u0648\u0627\u0621\u064f \u0662\u066a\u060c \u00ab\u0644\u0645\u00bb \u0640\u0640\u0640 \u0644\u0627 \ufefb \ufdfa",
  "\u05d4\u05ea\u05e8\u05d5\u05e4\u05d4 \u05d1\u05be42% (abc) \u05e9\u05c1\u05c2 \ufb2a \u05e9\u05c1\u05c2\u05b8",
  "\u202eabc\u202c \u2067\u05d0\u05d1\u2069 \u200f1\u200e2 \u061c \u202a\u202b\u202d\u2066\u2068",
  "\u0915\u094d\u0937\u093f \u0d28\u0d4d\u200d \u0e01\u0e33 \u0e41\u0e01\u0e49 \u0f40\u0f71\u0f72 \u1000\u1039\u1000 \u17a0\u17d2\u1798",
  "\u4e2d\u6587\u3001\u65e5\u672c\u8a9e\u3002\uff21\uff42\uff11 \uff76\uff9e \u3042\u3099 \u304c \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab \u3131",
  "\u01c4\u01c5\u01c6 \u0130I\u0131i \u1e9e\u00df\u00dfSS \u03a3\u03c3\u03c2 \u1f80\u1f88 \u0149 \ufb01\ufb03\ufb05 \u2126\u03a9 \u212b\u00c5 K\u212a",
  "\u{10400}\u{10428} \u{1d518}\u{1d536} \u{1f130}\u{1f150} \u{1e900}\u{1e922} \u{20000}\u{2f800} \u{10330}",
  "Abc ABC aBC AbCdEf ABCdef abcDEF IL2Ra mRNA pH DNAs \u00c9cole \u00c9COLE \u01c5ep \u02b0abc \u0301Abc A\u0301Bc aa\u0301BB",
];

/** Next to the surrogates, and the first and last of planes, where nothing is a character. */
const planes = [0xd7fe, 0xd7ff, 0xe000, 0xe001, 0xf8ff, 0xfdcf, 0xfdd0, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x10001];
const planeEnds = Array.from({ length: 16 }, (_, plane) =>
  [0x1fffe, 0x1ffff, 0x20000].map((code) => code + plane * 0x10000),
)
  .flat()
  .filter((code) => code <= 0x10ffff);

function longWords(): readonly string[] {
  let state = 12_345;
  const next = (bound: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % bound;
  };
  const from = (alphabet: readonly string[], length: number) =>
    Array.from({ length }, () => alphabet[next(alphabet.length)] ?? "").join("");
  const letters = [...range(0x41, 0x5a), ...range(0x61, 0x7a)];
  return [
    from(Array.from("ACGT"), 10_000),
    from([...letters, ...range(0x30, 0x39), "+", "/"], 9999),
    "aA".repeat(5000),
    from(Array.from("aeiou\u00e9\u03b2"), 5000),
    from(["\u4e2d", "\u6587", "\u5b57"], 1500),
    `x${"\u0301".repeat(2000)}y`,
    from(Array.from("'s "), 2000),
    "a'".repeat(1500),
    "1".repeat(2001),
    "!?".repeat(2000),
    "\r\n".repeat(1000),
    " \n".repeat(1000),
    "\u{1f469}\u{1f3fd}\u200d".repeat(300),
    ..."100 101 255 1023 1025".split(" ").map((length) => `${"b".repeat(Number(length))} c`),
  ];
}

export function nastyFileTexts(): readonly string[] {
  return [
    ...emoji(),
    ...marks(),
    ...spaces(),
    ...contractions(),
    ...digits(),
    ...scripts,
    planes.map((code) => `a${character(code)} ${character(code)}`).join(" "),
    planeEnds.map(character).join(""),
    planeEnds.map((code) => `x${character(code)}1`).join(" "),
    [...range(0x00, 0x1f), ...range(0x7f, 0x9f), "\u00ad"].map((each) => `a${each}b ${each} `).join(""),
    "one\r\ntwo\n\rthree\r\rfour\n\n\nfive\r\n \r\n  six \r\n\t seven\r",
    "!\r\n?\n\n.\r\n/\n//\r\n...\n x",
    "snake_case __init__ a_1 _1_ http://x.yz/?q=1&b=%20 \\n \\u00e9 {\"k\": [1,2]} <p class='x'>a</p> `c` $x^2$ #1 @me ~$%^&*()",
    ...longWords(),
  ];
}

export function nastyFileContent(): string {
  const escaped = (text: string) =>
    JSON.stringify(text).replaceAll(/[^ -~]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return nastyFileTexts()
    .map((text) => `${escaped(text)}\n`)
    .join("");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(nastyFile, nastyFileContent());
}
