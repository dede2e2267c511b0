// Which language a text is in: by its script, and for Latin and Cyrillic letters by the function words that every text of
// some length has. Small and plain on purpose: it decides what a corpus keeps, so one must be able to see why.

const functionWords: Readonly<Record<string, string>> = {
  en: "the of and in to was were with for that is by on as at from this are be an or which these not than we has have been a",
  de: "der die und in den von mit zu das bei nicht ist eine einer des im auf für wurde wurden dem als sich werden durch oder ein nach auch",
  fr: "le la les de des et en un une du dans est que pour par sur avec au aux qui sont ont été ce ces cette ou plus chez l d",
  es: "el la los las de del y en un una que con por para se es son al como más fue fueron su este esta entre sobre no lo",
  it: "il lo la gli le di del della dei delle e in un una che con per è sono nel nella dal al alla si come più ed o i da",
  pt: "o a os as de do da dos das e em um uma que com por para se é são no na nos nas ao como mais foi foram entre não",
  nl: "de het een en van in is op te dat met voor zijn niet aan bij door werd werden als ook naar uit deze of om tot wordt",
  sv: "och i att en ett det som på är av för med den till inte om de var har efter vid från eller hos kan",
  da: "og i at en et det som på er af for med den til ikke om de var har efter ved fra eller hos kan blev",
  no: "og i å en et det som på er av for med den til ikke om de var har etter ved fra eller hos kan ble",
  fi: "ja on ei oli että se joka ovat kun mutta myös tai sekä hän olla sen voi kuin ole jotka",
  pl: "i w na z do się nie jest że o po od przez dla są oraz jak za a u ze lub był były",
  cs: "a v na se je že s z do o k i ve pro po jako u byl byla nebo ze při byly za",
  hu: "a az és hogy nem is egy volt vagy meg ez van mint csak de volt ki fel illetve",
  ro: "și în de la cu a pe din care este un o nu sunt pentru prin mai al ale au fost sau",
  tr: "ve bir bu ile için da de olarak olan daha çok ise gibi ya en kadar sonra",
};

const cyrillicWords: Readonly<Record<string, string>> = {
  ru: "и в не на с по что из для при от как к у было были или его до это",
  uk: "і в не на з що та для при від як до у було були або його це за",
  bg: "и в не на с по че от за се при като са е до или със да",
};

type KnownWords = { readonly languages: readonly string[]; readonly of: ReadonlyMap<string, readonly number[]> };

/** For every function word the languages that have it. */
function indexed(words: Readonly<Record<string, string>>): KnownWords {
  const languages = Object.keys(words);
  const of = new Map<string, number[]>();
  for (const [number, language] of languages.entries()) {
    for (const word of new Set(words[language]?.split(" "))) {
      of.set(word, [...(of.get(word) ?? []), number]);
    }
  }
  return { languages, of };
}
const latin = indexed(functionWords);
const cyrillic = indexed(cyrillicWords);

const SAMPLE_CHARACTERS = 5000;
const MIN_HITS = 3;
const MIN_SHARE = 0.06;

export type Language = {
  /** ISO 639-1; `und` where it cannot be told. */
  readonly language: string;
  /** Share of the words that are this language's function words; of letters where the script decides. */
  readonly share: number;
};

const scripts: readonly (readonly [string, RegExp])[] = [
  ["latin", /\p{Script=Latin}/gu],
  ["cyrillic", /\p{Script=Cyrillic}/gu],
  ["han", /\p{Script=Han}/gu],
  ["kana", /[\p{Script=Hiragana}\p{Script=Katakana}]/gu],
  ["hangul", /\p{Script=Hangul}/gu],
  ["arabic", /\p{Script=Arabic}/gu],
  ["greek", /\p{Script=Greek}/gu],
  ["hebrew", /\p{Script=Hebrew}/gu],
  ["thai", /\p{Script=Thai}/gu],
  ["devanagari", /\p{Script=Devanagari}/gu],
];

const ofScript: Readonly<Record<string, string>> = {
  hangul: "ko",
  greek: "el",
  hebrew: "he",
  thai: "th",
  devanagari: "hi",
};

function byFunctionWords(text: string, known: KnownWords): Language {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const hits = new Uint32Array(known.languages.length);
  for (const word of words) {
    for (const language of known.of.get(word) ?? []) {
      hits[language] = (hits[language] ?? 0) + 1;
    }
  }
  let best = 0;
  for (const [language, count] of hits.entries()) {
    best = count > (hits[best] ?? 0) ? language : best;
  }
  const count = hits[best] ?? 0;
  const share = words.length === 0 ? 0 : count / words.length;
  const isTold = count >= MIN_HITS && share >= MIN_SHARE;
  return { language: isTold ? (known.languages[best] ?? "und") : "und", share };
}

/** Judges the first 5,000 characters. */
export function detectLanguage(whole: string): Language {
  const text = whole.slice(0, SAMPLE_CHARACTERS);
  const counts = new Map(scripts.map(([name, letters]) => [name, text.match(letters)?.length ?? 0]));
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const count = (name: string) => counts.get(name) ?? 0;
  if (total === 0) {
    return { language: "und", share: 0 };
  }
  const eastAsian = count("han") + count("kana");
  if (eastAsian / total > 0.3) {
    return { language: count("kana") / eastAsian > 0.05 ? "ja" : "zh", share: eastAsian / total };
  }
  const [script = "latin", letters = 0] = [...counts].toSorted((a, b) => b[1] - a[1])[0] ?? [];
  switch (script) {
    case "latin":
      return byFunctionWords(text, latin);
    case "cyrillic":
      return byFunctionWords(text, cyrillic);
    case "arabic":
      return { language: /[پچژگ]/u.test(text) ? "fa" : "ar", share: letters / total };
    default:
      return { language: ofScript[script] ?? "und", share: letters / total };
  }
}
