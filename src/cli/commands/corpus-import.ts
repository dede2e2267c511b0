// assay corpus import.
import { importCorpus } from "#core/corpus/import/import";
import { type ImportFormat, importFormats } from "#core/corpus/import/record";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatBytes, formatCount, note, Progress, say, sayJson, table } from "../output.ts";

function readFormat(word: string | undefined): ImportFormat | null {
  const format = importFormats.find((each) => each === word);
  if (word !== undefined && format === undefined) {
    throw badRequest(`--format ${word} is not known; it is one of ${importFormats.join(", ")}.`);
  }
  return format ?? null;
}

export const corpusImportCommand: CommandSpec = {
  name: "corpus import",
  summary:
    "turn PubMed, PMC, MEDLINE, BioC, PubTator, JSONL, CSV, Parquet or plain text into one {id, text, …} a line;\n" +
    "an import that was interrupted goes on when the same command is given again",
  operands: "PATH…",
  minOperands: 1,
  maxOperands: 100_000,
  options: {
    out: { type: "string", value: "FILE.jsonl", help: "the file to write; its ledger is written beside it" },
    format: { type: "string", value: "NAME", help: `${importFormats.join(", ")} (default: told from the content)` },
    "text-field": {
      type: "string",
      multiple: true,
      value: "NAME",
      help: "JSONL, CSV, Parquet: a field of text; several make paragraphs (default text)",
    },
    "id-field": {
      type: "string",
      value: "NAME",
      help: "JSONL, CSV, Parquet: the field with the id (default id, else pmid, else file#record)",
    },
    unit: { type: "string", value: "file|paragraph", help: "plain text: what a document is (default file)" },
    workers: { type: "string", value: "N", help: "files read at once (default 1)" },
    "skip-broken": { type: "boolean", help: "leave damaged files out and say so, instead of stopping at the first" },
    restart: { type: "boolean", help: "begin anew, and replace what is there" },
  },
  run: async (call) => {
    const out = call.text("out");
    const unit = call.text("unit") ?? "file";
    if (out === undefined || !out.endsWith(".jsonl")) {
      throw badRequest("`assay corpus import` needs --out FILE.jsonl.");
    }
    if (unit !== "file" && unit !== "paragraph") {
      throw badRequest(`--unit is file or paragraph, not "${unit}".`);
    }
    // What was read stays; a second signal ends the process where it is.
    const interrupt = new AbortController();
    process.once("SIGINT", () => interrupt.abort());
    process.once("SIGTERM", () => interrupt.abort());
    let progress = new Progress("reading", "bytes");
    let phase = "reading";
    const textFields = call.texts("text-field");
    const report = await importCorpus({
      inputs: call.operands,
      output: out,
      format: readFormat(call.text("format")),
      textFields: textFields.length === 0 ? ["text"] : textFields,
      idField: call.text("id-field") ?? null,
      textUnit: unit,
      workers: call.number("workers", { min: 1, max: 64, integer: true }) ?? 1,
      skipBroken: call.flag("skip-broken"),
      restart: call.flag("restart"),
      signal: interrupt.signal,
      onProgress: (state) => {
        if (state.phase !== phase) {
          progress.end(`${formatCount(state.documents)} documents`);
          phase = state.phase;
          progress = new Progress(phase, "bytes");
        }
        progress.update(state.done, state.total, `${formatCount(state.documents)} documents`);
      },
    });
    progress.end("done");
    for (const sentence of report.refused) {
      note(sentence);
    }
    if (call.json) {
      sayJson(report);
      return;
    }
    say(
      `${formatCount(report.documents)} documents (${formatBytes(report.bytes)}) of ${report.sources} files: ${report.output}${report.wasThere ? " (was there already)" : ""}`,
    );
    if (report.rules.length > 0) {
      say(
        table(
          [{ title: "rule" }, { title: "what" }, { title: "documents", right: true }],
          report.rules.map((rule) => [rule.rule, rule.action, formatCount(rule.documents)]),
        ),
      );
      say(`each of them: ${report.ledger}`);
    }
  },
};
