// assay corpus clean | scan.
import { cleanCorpus } from "#core/corpus/clean/clean";
import { type CleanRules, loadCleanRules } from "#core/corpus/clean/rules";
import { type ScanReport, scanContamination } from "#core/corpus/contamination";
import { writeFileDurably } from "#core/runs/durable-file";
import { badRequest, type CommandCall, type CommandSpec } from "../arguments.ts";
import { formatCount, note, Progress, say, sayJson, table } from "../output.ts";

/** Flags lay over the file of rules. */
async function readRules(call: CommandCall): Promise<CleanRules> {
  const rules = await loadCleanRules(call.text("rules") ?? null);
  const languages = call.text("language");
  const minWords = call.number("min-words", { min: 0, integer: true });
  const similarity = call.number("similarity", { min: 0.5, max: 1 });
  return {
    ...rules,
    language:
      languages === undefined
        ? rules.language
        : { keep: languages.split(","), keep_undetermined: rules.language?.keep_undetermined ?? true },
    length:
      minWords === undefined ? rules.length : { max_words: rules.length?.max_words ?? 1_000_000, min_words: minWords },
    near_duplicates:
      similarity === undefined
        ? rules.near_duplicates
        : { run_words: 5, keep: "longest", ...rules.near_duplicates, similarity },
  };
}

export const corpusCleanCommand: CommandSpec = {
  name: "corpus clean",
  summary:
    "leave out what is too short, in other languages, no prose, or there already, and write down why: a ledger with a line\n" +
    "for every document that was dropped or changed, and the clusters of near duplicates",
  operands: "PATH…",
  minOperands: 1,
  maxOperands: 100_000,
  options: {
    out: { type: "string", value: "FILE.jsonl", help: "the file to write; ledger and clusters are written beside it" },
    rules: { type: "string", value: "FILE.yaml", help: "the rules (default: docs/formats/corpus.md)" },
    language: { type: "string", value: "en,de", help: "keep these languages alone" },
    "min-words": { type: "string", value: "N", help: "leave out shorter documents (default 20)" },
    similarity: {
      type: "string",
      value: "S",
      help: "near duplicates: the share of runs of words in common (default 0.8)",
    },
    replace: { type: "boolean", help: "write over what is there" },
  },
  run: async (call) => {
    const out = call.text("out");
    if (out === undefined || !out.endsWith(".jsonl")) {
      throw badRequest("`assay corpus clean` needs --out FILE.jsonl.");
    }
    let phase = "reading";
    let progress = new Progress(phase, "bytes");
    const report = await cleanCorpus({
      inputs: call.operands,
      output: out,
      rules: await readRules(call),
      replace: call.flag("replace"),
      onNotice: note,
      onProgress: (state) => {
        if (state.phase !== phase) {
          progress.end("done");
          phase = state.phase;
          progress = new Progress(phase, phase === "comparing" ? "bands" : "documents");
        }
        progress.update(state.done, state.total);
      },
    });
    progress.end("done");
    if (call.json) {
      sayJson(report);
      return;
    }
    say(`${formatCount(report.documents)} of ${formatCount(report.documentsRead)} documents stay: ${report.output}`);
    if (report.rules.length > 0) {
      say(
        table(
          [{ title: "rule" }, { title: "what" }, { title: "documents", right: true }, { title: "for example" }],
          report.rules.map(({ rule, action, documents, samples }) => [
            rule,
            action,
            formatCount(documents),
            samples[0] === undefined ? "" : `${samples[0].id}: ${samples[0].detail}`.slice(0, 100),
          ]),
        ),
      );
    }
    say(`each of them: ${report.ledger}\nnear duplicates: ${report.clusters}`);
  },
};

function sayScan(report: ScanReport): void {
  const share = (count: number) =>
    `${formatCount(count)} (${((100 * count) / Math.max(1, report.items)).toFixed(1)} %)`;
  say(
    `${formatCount(report.items)} items, ${formatCount(report.documents)} documents, runs of ${report.runWords} words\n` +
      `any run in the corpus: ${share(report.anyOverlap)}; at least half of them: ${share(report.halfOverlap)}; at least 80 %: ${share(report.mostOverlap)}` +
      (report.tooShort === 0 ? "" : `\n${formatCount(report.tooShort)} items have too few words to be looked for`),
  );
  if (report.found.length > 0) {
    say(
      table(
        [{ title: "item" }, { title: "overlap", right: true }, { title: "document" }, { title: "words that match" }],
        report.found
          .slice(0, 20)
          .map(({ item, overlap, matches }) => [
            item,
            `${(100 * overlap).toFixed(1)} %`,
            matches[0]?.document ?? "",
            (matches[0]?.text ?? "").replaceAll(/\s+/g, " ").slice(0, 80),
          ]),
      ),
    );
  }
}

export const corpusScanCommand: CommandSpec = {
  name: "corpus scan",
  summary: "which items of an evaluation set stand in a corpus: runs of 13 words that both have, per item",
  operands: "CORPUS…",
  minOperands: 1,
  maxOperands: 100_000,
  options: {
    eval: {
      type: "string",
      multiple: true,
      value: "PATH",
      help: "evaluation sets, in any format that can be imported",
    },
    "text-field": { type: "string", multiple: true, value: "NAME", help: "the items' fields of text (default text)" },
    "id-field": { type: "string", value: "NAME", help: "the items' field with the id" },
    "run-words": { type: "string", value: "N", help: "words in a run (default 13)" },
    "least-words": { type: "string", value: "N", help: "shorter items are not looked for (default 8)" },
    out: { type: "string", value: "FILE.json", help: "write all of what was found" },
  },
  run: async (call) => {
    const evaluation = call.texts("eval");
    if (evaluation.length === 0) {
      throw badRequest("`assay corpus scan` needs --eval PATH.");
    }
    const textFields = call.texts("text-field");
    const progress = new Progress("scanning", "bytes");
    const report = await scanContamination({
      evaluation,
      corpus: call.operands,
      textFields: textFields.length === 0 ? ["text"] : textFields,
      idField: call.text("id-field") ?? null,
      runWords: call.number("run-words", { min: 2, max: 100, integer: true }) ?? 13,
      leastWords: call.number("least-words", { min: 1, max: 100, integer: true }) ?? 8,
      onNotice: note,
      onProgress: ({ done, total }) => progress.update(done, total),
    });
    progress.end(`${formatCount(report.documents)} documents`);
    const out = call.text("out");
    if (out !== undefined) {
      await writeFileDurably(out, `${JSON.stringify(report, null, 1)}\n`);
    }
    if (call.json) {
      sayJson(report);
    } else {
      sayScan(report);
    }
  },
};
