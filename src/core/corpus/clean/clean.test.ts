// What a cleaning does to each document, by the ledger; that near duplicates are those an exact count finds; and that the
// outcome depends on the documents and rules alone.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeBoilerplate } from "./boilerplate.ts";
import { cleanCorpus } from "./clean.ts";
import { detectLanguage } from "./language.ts";
import { estimateSimilarity, runsOf, signatureOf, similarityOf } from "./minhash.ts";
import { type CleanRules, loadCleanRules, readCleanRules } from "./rules.ts";
import { wordsOf } from "./words.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-clean-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

let state = 1;
function draw(limit: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

function word(): string {
  return Array.from({ length: 5 }, () => String.fromCharCode(97 + draw(26))).join("");
}

/** Words that no two drawn texts share by chance in runs of five. */
function prose(words: number): string[] {
  return Array.from({ length: words }, word);
}

function rules(changes: object = {}): CleanRules {
  return readCleanRules({ length: { min_words: 5 }, ...changes }, "the rules");
}

type Entry = { readonly rule: string; readonly id: string; readonly action: string; readonly detail: string };

async function jsonLines<T>(file: string): Promise<readonly T[]> {
  const text = await readFile(file, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

async function clean(documents: readonly object[], own: CleanRules) {
  const input = path.join(folder, "in.jsonl");
  await writeFile(input, documents.map((document) => `${JSON.stringify(document)}\n`).join(""));
  const report = await cleanCorpus({
    inputs: [input],
    output: path.join(folder, "out.jsonl"),
    rules: own,
    replace: true,
  });
  return {
    report,
    kept: await jsonLines<{ id: string; text: string; [field: string]: unknown }>(report.output),
    ledger: await jsonLines<Entry>(report.ledger),
    clusters: await jsonLines<{ kept: { id: string }; dropped: { id: string; similarity: number }[] }>(report.clusters),
  };
}

describe("a cleaning", () => {
  it("says for every document that goes which rule took it, and keeps the others as they are", async () => {
    const good = "The patients were treated with metformin and the glucose of each was measured twice in the morning.";
    const { kept, ledger, report } = await clean(
      [
        { id: "good", text: good, year: 1999, mesh: ["Glucose"] },
        { id: "short", text: "Too few words." },
        {
          id: "german",
          text: "Die Patienten wurden mit dem Mittel behandelt und die Werte sind nicht von der Zeit abhängig.",
        },
        { id: "symbols", text: "a ### b @@@ c $$$ d ^^^ e *** f ~~~ g" },
        { id: "digits", text: "12345 67890 13579 24680 11111 22222 33333 values were found here" },
        { id: "lines", text: Array.from({ length: 4 }, () => "the same line of words again").join("\n") },
        { id: "runs", text: `${"we saw the same thing there ".repeat(6)}end of it` },
        { id: "letters", text: "x q b c f g h j k m r t v w" },
        { id: "same", text: good.toUpperCase().replaceAll(" ", "  ") },
      ],
      rules({ language: { keep: ["en"] } }),
    );
    expect(kept).toEqual([{ id: "good", text: good, source: "in.jsonl", year: 1999, mesh: ["Glucose"] }]);
    expect(ledger.map(({ id, rule }) => [id, rule])).toEqual([
      ["short", "too-short"],
      ["german", "language"],
      ["symbols", "symbols"],
      ["digits", "digits"],
      ["lines", "repeated-lines"],
      ["runs", "repeated-runs"],
      ["letters", "word-length"],
      ["same", "duplicate"],
    ]);
    expect(ledger.at(-1)).toMatchObject({ action: "dropped", detail: "the same words as good" });
    expect(report.documentsRead).toBe(9);
    expect(report.rules.map(({ documents }) => documents)).toEqual(Array.from({ length: 8 }, () => 1));
    expect(report.rules[0]?.samples[0]).toMatchObject({ id: "short", excerpt: "Too few words." });
    expect(await readdir(folder)).toEqual([
      "in.jsonl",
      "out.clusters.jsonl",
      "out.jsonl",
      "out.ledger.json",
      "out.ledger.jsonl",
    ]);
  });

  it("removes what publishers append and notes what it was", async () => {
    const body = "The enzyme was stable at room temperature for three weeks.";
    const { kept, ledger } = await clean(
      [{ id: "a", text: `Title here\n${body} Copyright © 2011 Wiley Periodicals, Inc.` }],
      rules(),
    );
    expect(kept[0]?.text).toBe(`Title here\n${body}`);
    expect(ledger).toMatchObject([
      { rule: "boilerplate", action: "changed", detail: "removed: Copyright © 2011 Wiley Periodicals, Inc." },
    ]);
    const own = { builtin: false, phrases: ["Read more."] };
    expect(removeBoilerplate("One. Read more. Read more.\nTwo.", own)).toEqual({
      text: "One.\nTwo.",
      removed: "Read more. Read more.",
    });
    expect(removeBoilerplate(body, { builtin: true, phrases: [] })).toBeNull();
  });

  it("drops of near duplicates all that are like one that stays, the longest, with the similarity in the clusters", async () => {
    const base = prose(200);
    const longer = [...base, ...prose(8)];
    const edited = base.map((own, at) => (at === 100 ? "edited" : own));
    const half = [...base.slice(0, 100), ...prose(100)];
    const { kept, clusters, ledger } = await clean(
      [
        { id: "base", text: base.join(" ") },
        { id: "other", text: prose(200).join(" ") },
        { id: "edited", text: edited.join(" ") },
        { id: "half", text: half.join(" ") },
        { id: "longer", text: longer.join(" ") },
      ],
      rules(),
    );
    expect(kept.map(({ id }) => id)).toEqual(["other", "half", "longer"]);
    const runs = (words: readonly string[]) => runsOf(wordsOf(words.join(" ")), 5);
    expect(clusters).toMatchObject([{ kept: { id: "longer" }, dropped: [{ id: "base" }, { id: "edited" }] }]);
    expect(clusters[0]?.dropped[1]?.similarity).toBeCloseTo(similarityOf(runs(edited), runs(longer)), 4);
    expect(ledger.map(({ id, rule }) => [id, rule])).toEqual([
      ["base", "near-duplicate"],
      ["edited", "near-duplicate"],
    ]);
    const first = await clean(
      [
        { id: "base", text: base.join(" ") },
        { id: "longer", text: longer.join(" ") },
      ],
      rules({ near_duplicates: { keep: "first" } }),
    );
    expect(first.kept.map(({ id }) => id)).toEqual(["base"]);
  });

  it("finds the near duplicates that comparing all with all finds", async () => {
    const documents: { id: string; text: string }[] = [];
    for (let family = 0; family < 40; family += 1) {
      const base = prose(60 + draw(100));
      for (let copy = 0; copy < 1 + draw(3); copy += 1) {
        const changed = base.map((own) => (draw(100) < 2 * copy ? word() : own));
        documents.push({ id: `${family}-${copy}`, text: changed.join(" ") });
      }
    }
    const { kept, ledger } = await clean(documents, rules());
    const sets = new Map(documents.map(({ id, text }) => [id, runsOf(wordsOf(text), 5)]));
    const like = (a: string, b: string) => similarityOf(sets.get(a) ?? new Set(), sets.get(b) ?? new Set());
    const staying = kept.map(({ id }) => id);
    for (const [at, id] of staying.entries()) {
      for (const other of staying.slice(at + 1)) {
        expect(like(id, other), `${id} and ${other}`).toBeLessThan(0.8);
      }
    }
    for (const { id } of ledger) {
      expect(Math.max(...staying.map((other) => like(id, other)))).toBeGreaterThanOrEqual(0.8);
    }
    expect(ledger.length).toBeGreaterThan(5);
    expect(staying.length + ledger.length).toBe(documents.length);
  });

  it("refuses rules it does not know, and leaves nothing where no document is left", async () => {
    expect(() => readCleanRules({ length: { least: 3 } }, "rules.yaml")).toThrow(/^rules\.yaml at length: /);
    await expect(clean([{ id: "a", text: "few words" }], rules())).rejects.toMatchObject({
      code: "CORPUS_EMPTY",
      message: "No document is left (too-short: 1); loosen the rules.",
    });
    expect(await readdir(folder)).toEqual(["in.jsonl"]);
    const file = path.join(folder, "rules.yaml");
    await writeFile(file, "exact_duplicates: false\nlength: null\nnear_duplicates: null\n");
    expect(await loadCleanRules(file)).toMatchObject({ exact_duplicates: false, length: null, near_duplicates: null });
  });
});

describe("signatures", () => {
  it("estimate the similarity of sets of runs", () => {
    for (const changed of [0, 2, 10, 40]) {
      const base = prose(300);
      const other = base.map((own, at) => (at < changed ? `new${at}` : own));
      const [a, b] = [base, other].map((words) => runsOf(wordsOf(words.join(" ")), 5));
      const exact = similarityOf(a ?? new Set(), b ?? new Set());
      const estimate = estimateSimilarity(signatureOf(a ?? new Set()), signatureOf(b ?? new Set()));
      expect(Math.abs(exact - estimate)).toBeLessThan(0.15);
    }
  });
});

describe("the language of a text", () => {
  it.each([
    ["en", "The results of this study show that the drug was not associated with an increase in the risk of death."],
    ["de", "Die Ergebnisse der Studie zeigen, dass das Mittel nicht mit einem höheren Risiko verbunden ist."],
    ["fr", "Les résultats de cette étude montrent que le médicament est bien toléré par les patients."],
    ["es", "Los resultados del estudio muestran que el fármaco no se asocia con un mayor riesgo para los pacientes."],
    ["pt", "Os resultados do estudo mostram que o fármaco não foi associado a um maior risco para os pacientes."],
    ["it", "I risultati dello studio mostrano che il farmaco non è associato con un maggiore rischio per la salute."],
    ["pl", "Wyniki badania nie są zgodne z tym, co było znane, i nie jest jasne, jak się to odnosi do pacjentów."],
    ["ru", "Результаты исследования показали, что препарат не был связан с риском для пациентов и их детей."],
    ["zh", "研究结果表明该药物与死亡风险增加无关。"],
    ["ja", "この研究の結果は、薬が死亡のリスクと関連していないことを示した。"],
    ["ko", "연구 결과 이 약물은 사망 위험과 관련이 없었다."],
    ["el", "Τα αποτελέσματα της μελέτης δείχνουν ότι το φάρμακο είναι ασφαλές."],
    // Letters that name compounds are words of other languages.
    [
      "en",
      "A new class of A(2A) ligands (K(i) = 2 nM, A(1)/A(2A) > 50) is a starting point for a drug; a dose of 1 mg/kg s.c. was active.",
    ],
    ["und", "Hexokinase, 12345 µM."],
  ])("is told as %s", (language, text) => {
    expect(detectLanguage(text).language).toBe(language);
  });
});
