// assay corpus stats | split | trace.
import { importFormats } from "#core/corpus/import/record";
import { type Amount, type CorpusStatistics, corpusStatistics, statisticsGroups } from "#core/corpus/statistics";
import { traceRun } from "#core/corpus/trace-run";
import { writeSplit } from "#core/corpus/write-split";
import { workspacePath } from "#core/paths";
import { loadTokenizer } from "#core/tokenizer/load";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatBytes, formatCount, note, Progress, say, sayJson, table } from "../output.ts";

function rows(amounts: readonly (Amount & { readonly name: string })[], top: number): readonly (readonly string[])[] {
  return amounts
    .slice(0, top)
    .map(({ name, documents, words, tokens }) => [
      name.slice(0, 60),
      formatCount(documents),
      formatCount(words),
      ...(tokens === null ? [] : [formatCount(tokens)]),
    ]);
}

function sayStatistics(statistics: CorpusStatistics, top: number): void {
  const { documents, words, tokens, textBytes, wordsPerDocument: per, groups } = statistics;
  say(
    `${formatCount(documents)} documents, ${formatCount(words)} words${tokens === null ? "" : `, ${formatCount(tokens)} tokens`}, ${formatBytes(textBytes)} of text; ` +
      `${formatCount(per.least)} to ${formatCount(per.most)} words each, ${formatCount(per.mean)} on average`,
  );
  for (const group of statisticsGroups) {
    const amounts = groups[group];
    if (amounts.length > 1 || amounts[0]?.name !== "(none)") {
      const right = ["documents", "words", ...(tokens === null ? [] : ["tokens"])].map((title) => ({
        title,
        right: true,
      }));
      say(`\n${table([{ title: group }, ...right], rows(amounts, top))}`);
      if (amounts.length > top) {
        say(`and ${formatCount(amounts.length - top)} more`);
      }
    }
  }
}

export const corpusStatsCommand: CommandSpec = {
  name: "corpus stats",
  summary:
    "what a corpus consists of: documents, words and tokens by year, journal, language, section, MeSH heading and source",
  operands: "PATH…",
  minOperands: 1,
  maxOperands: 100_000,
  options: {
    tokenizer: { type: "string", value: "DIR|FILE|gpt2", help: "count tokens too" },
    "detect-language": { type: "boolean", help: "tell the language from the text where a document does not say it" },
    format: { type: "string", value: "NAME", help: `${importFormats.join(", ")} (default: told from the content)` },
    "text-field": {
      type: "string",
      multiple: true,
      value: "NAME",
      help: "JSONL, CSV, Parquet: a field of text (default text)",
    },
    top: { type: "string", value: "N", help: "how many values of each to show (default 12); --json gives all" },
  },
  run: async (call) => {
    const source = call.text("tokenizer");
    const formatName = call.text("format");
    const format = importFormats.find((each) => each === formatName);
    if (formatName !== undefined && format === undefined) {
      throw badRequest(`--format ${formatName} is not known; it is one of ${importFormats.join(", ")}.`);
    }
    const textFields = call.texts("text-field");
    const top = call.number("top", { min: 1, integer: true }) ?? 12;
    const tokenizer =
      source === undefined ? null : await loadTokenizer(source, { workspace: workspacePath(call.workspace) });
    const progress = new Progress("reading", "bytes");
    const statistics = await corpusStatistics({
      inputs: call.operands,
      tokenizer,
      detectLanguages: call.flag("detect-language"),
      format: format ?? null,
      textFields: textFields.length === 0 ? ["text"] : textFields,
      onNotice: note,
      onProgress: ({ done, total }) => progress.update(done, total),
    });
    progress.end(`${formatCount(statistics.documents)} documents`);
    if (call.json) {
      sayJson(statistics);
    } else {
      sayStatistics(statistics, top);
    }
  },
};

export const corpusSplitCommand: CommandSpec = {
  name: "corpus split",
  summary: "write the documents that a recipe's data.eval fraction holds out, and the others, to two files",
  operands: "PATH…",
  minOperands: 1,
  maxOperands: 100_000,
  options: {
    fraction: {
      type: "string",
      value: "F",
      help: "how much is held out, above 0 and below 1; which, a hash of the id decides",
    },
    train: { type: "string", value: "FILE.jsonl", help: "where the others go" },
    eval: { type: "string", value: "FILE.jsonl", help: "where the held-out documents go" },
    replace: { type: "boolean", help: "write over what is there" },
  },
  run: async (call) => {
    const fraction = call.number("fraction", { min: 0, max: 1 });
    const train = call.text("train");
    const heldOut = call.text("eval");
    if (fraction === undefined || fraction === 0 || fraction === 1 || train === undefined || heldOut === undefined) {
      throw badRequest(
        "`assay corpus split` needs --fraction F between 0 and 1, --train FILE.jsonl and --eval FILE.jsonl.",
      );
    }
    const progress = new Progress("splitting", "bytes");
    const report = await writeSplit({
      inputs: call.operands,
      fraction,
      train,
      heldOut,
      replace: call.flag("replace"),
      onNotice: note,
      onProgress: ({ done, total }) => progress.update(done, total),
    });
    progress.end("done");
    if (call.json) {
      sayJson(report);
      return;
    }
    say(`${formatCount(report.train.documents)} documents: ${report.train.file}`);
    say(`${formatCount(report.heldOut.documents)} documents: ${report.heldOut.file}`);
  },
};

export const corpusTraceCommand: CommandSpec = {
  name: "corpus trace",
  summary: "which documents a sequence of a run's training came from",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    run: { type: "string", value: "RUN", help: "a run: its directory, id or name" },
    step: { type: "string", value: "N", help: "the step, from 1" },
    sequence: { type: "string", value: "K", help: "which sequence of the step's batch, from 1 (default 1)" },
    token: { type: "string", value: "POSITION", help: "instead: a token of the training text, from 0" },
  },
  run: async (call) => {
    const reference = call.text("run");
    const step = call.number("step", { min: 1, integer: true });
    const token = call.number("token", { min: 0, integer: true });
    if (reference === undefined || (step === undefined) === (token === undefined)) {
      throw badRequest(
        "`assay corpus trace` needs --run RUN, and either --step N (with --sequence K) or --token POSITION.",
      );
    }
    const place =
      step === undefined
        ? { token: token ?? 0 }
        : { step, sequence: call.number("sequence", { min: 1, integer: true }) ?? 1 };
    const trace = await traceRun(workspacePath(call.workspace), reference, place, { onNotice: note });
    if (call.json) {
      sayJson(trace);
      return;
    }
    const text = trace.shard === null ? "the training text" : `${trace.shard.file} in ${trace.shard.folder}`;
    say(
      `tokens ${formatCount(trace.firstToken)} to ${formatCount(trace.firstToken + trace.tokenCount - 1)} of ${text}`,
    );
    say(
      table(
        [
          { title: "document" },
          { title: "tokens of the sequence", right: true },
          { title: "from its token", right: true },
        ],
        trace.documents.map(({ id, from, to, documentOffset }) => [
          id,
          `${from}–${to - 1}`,
          formatCount(documentOffset),
        ]),
      ),
    );
  },
};
