import { describe, expect, it } from "vitest";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { cleanDefaults, cleanProblems, cleanRules } from "./clean-form.ts";
import { freeName, nameFor, nameProblem } from "./corpus-names.ts";
import { corpusRoute } from "./corpus-route.ts";
import { asksForFields, type ImportForm, importProblems, requestOf } from "./import-form.ts";
import { progressWords } from "./progress-words.ts";
import { chronological, isSaid } from "./statistics-rows.ts";

const form: ImportForm = {
  inputs: ["/data/Abstracts 2024.jsonl.gz"],
  name: "abstracts",
  format: "auto",
  textFields: "title, abstract",
  idField: " ",
  textUnit: "paragraph",
  workers: "2",
  skipBroken: false,
};

function info(part: Partial<CorpusInfo>): CorpusInfo {
  return {
    path: "/w/corpora/abstracts.jsonl",
    name: "abstracts",
    sizeBytes: 1,
    modifiedAt: "2024-01-01T00:00:00Z",
    documents: null,
    hasLedger: false,
    hasClusters: false,
    isUnfinished: false,
    unfinished: null,
    ...part,
  };
}

describe("the import form", () => {
  it("asks for fields only where records may have them, and sends them only then", () => {
    expect(requestOf(form)).toMatchObject({ textFields: ["title", "abstract"], idField: null, textUnit: "file" });
    const xml = { ...form, inputs: ["/data/pubmed24n0001.xml.gz"] };
    expect(asksForFields(xml)).toBe(false);
    expect(requestOf(xml).textFields).toEqual(["text"]);
    expect(asksForFields({ ...xml, format: "jsonl" })).toBe(true);
    expect(requestOf({ ...form, inputs: ["/data/a.txt"] }).textUnit).toBe("paragraph");
  });

  it("refuses a name that is taken, but goes on with an unfinished import of the same files", () => {
    expect(importProblems(form, [])).toEqual({});
    expect(importProblems(form, [info({})]).name).toContain("already");
    const same = info({ isUnfinished: true, unfinished: requestOf(form) });
    expect(importProblems(form, [same])).toEqual({});
    expect(importProblems({ ...form, skipBroken: true }, [same]).name).toContain("unfinished import of other files");
    expect(importProblems({ ...form, inputs: [], workers: "0" }, [])).toHaveProperty("inputs");
  });

  it("suggests names from files that are free and valid", () => {
    expect(nameFor("/data/Abstracts 2024.jsonl.gz")).toBe("abstracts-2024");
    expect(nameFor("C:\\texts\\PMC_OA.tar.gz")).toBe("pmc_oa");
    expect(freeName("a", new Set(["a", "a-2"]))).toBe("a-3");
    expect(nameProblem("../a", new Set())).not.toBeNull();
    expect(nameProblem("a.ledger", new Set())).not.toBeNull();
  });
});

describe("the cleaning form", () => {
  it("begins with the documented rules", () => {
    expect(cleanRules(cleanDefaults("a"))).toEqual({
      boilerplate: { builtin: true, phrases: [] },
      length: { min_words: 20, max_words: 1_000_000 },
      language: null,
      quality: {
        max_symbol_ratio: 0.1,
        max_digit_ratio: 0.3,
        max_repeated_line_ratio: 0.3,
        max_repeated_run_ratio: 0.5,
        mean_word_length: [2.5, 14],
      },
      exact_duplicates: true,
      near_duplicates: { similarity: 0.8, run_words: 5, keep: "longest" },
    });
  });

  it("turns a rule off by its box and a share by leaving it empty, and says what is no figure", () => {
    const changed = {
      ...cleanDefaults("a"),
      length: false,
      minWords: "x",
      maxDigits: "",
      language: true,
      languages: "EN, de",
    };
    expect(cleanProblems(changed, new Set())).toEqual({});
    expect(cleanRules(changed)).toMatchObject({
      length: null,
      quality: { max_digit_ratio: null },
      language: { keep: ["en", "de"], keep_undetermined: true },
    });
    const wrong = { ...changed, length: true, maxDigits: "1.5", similarity: "0.4", languages: "english" };
    expect(Object.keys(cleanProblems(wrong, new Set(["a"]))).toSorted()).toEqual([
      "languages",
      "maxDigits",
      "minWords",
      "name",
      "similarity",
    ]);
  });
});

describe("what is shown", () => {
  it("says how much of how much, and a pace once there is one", () => {
    const running = {
      state: "running",
      progress: { phase: "reading", done: 5_000_000, total: 20_000_000, documents: 1200 },
      startedAt: 0,
      phaseStartedAt: 0,
      phaseStartedWith: 0,
    } as const;
    const plain = (text: string) => text.replaceAll("\u2009", " ");
    const words = progressWords(running, 5000);
    expect(plain(words.label)).toBe("Reading: 5.00 MB of 20.0 MB, 1 200 documents");
    expect(words.share).toBe(0.25);
    expect(plain(words.pace)).toBe("1.00 MB/s, about 15 s left");
    expect(progressWords(running, 100).pace).toBe("");
    const open = { ...running, progress: { phase: "starting", done: 0, total: null, documents: null } };
    expect(progressWords(open, 100)).toEqual({ label: "Starting…", share: null, pace: "" });
  });

  it("puts years in their order and leaves out groups of which nothing is said", () => {
    const row = (name: string, documents: number) => ({ name, documents, words: 1, tokens: null });
    const years = [row("(none)", 9), row("1999", 5), row("2010", 1)];
    expect(chronological(years).map(({ name }) => name)).toEqual(["2010", "1999", "(none)"]);
    expect(isSaid([row("(none)", 9)])).toBe(false);
  });

  it("tells a route's page, and falls back to what is there", () => {
    expect(corpusRoute({ rest: [] })).toEqual({ kind: "list" });
    expect(corpusRoute({ rest: ["/w/a.jsonl", "ledger"] })).toMatchObject({ kind: "corpus", section: "ledger" });
    expect(corpusRoute({ rest: ["/w/a.jsonl", "nothing"] })).toMatchObject({ section: "documents" });
    expect(corpusRoute({ rest: ["/w/a.jsonl", "scan"] })).toMatchObject({ kind: "work", work: "scan" });
    expect(corpusRoute({ rest: ["trace", "r", "0", "7"] })).toEqual({ kind: "trace", run: "r", step: 1, sequence: 7 });
  });
});
