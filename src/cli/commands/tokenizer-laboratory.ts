// assay tokenizer align | vocabulary: looking into tokenizers, where `compare` counts.
import { workspacePath } from "#core/paths";
import { alignPieces } from "#core/tokenizer/align";
import { inspectText } from "#core/tokenizer/inspect";
import { loadTokenizer } from "#core/tokenizer/load";
import { searchVocabulary, vocabularyOverlap } from "#core/tokenizer/vocabulary";
import type { Piece } from "#shared/ipc/tokenizers.contract";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatCount, say, sayJson, table } from "../output.ts";

const shown = (piece: string) => piece.replaceAll(" ", "␣");

export const tokenizerAlignCommand: CommandSpec = {
  name: "tokenizer align",
  summary: "one text under several tokenizers side by side, cut where all of them cut",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    tokenizer: { type: "string", multiple: true, value: "DIR|FILE|gpt2", help: "one of those compared" },
    text: { type: "string", value: "TEXT", help: "the text" },
  },
  run: async (call) => {
    const sources = call.texts("tokenizer");
    const text = call.text("text");
    if (sources.length < 2 || text === undefined) {
      throw badRequest("`assay tokenizer align` needs at least two --tokenizer DIR|FILE|gpt2, and --text TEXT.");
    }
    const workspace = workspacePath(call.workspace);
    const sets: (readonly Piece[])[] = [];
    for (const source of sources) {
      sets.push(inspectText(await loadTokenizer(source, { workspace }), text));
    }
    const spans = alignPieces(text, sets);
    if (call.json) {
      sayJson({ tokenizers: sources, tokens: sets.map((pieces) => pieces.length), spans });
      return;
    }
    say(
      table(
        [{ title: "text" }, ...sources.map((title) => ({ title }))],
        spans.map((span) => [
          JSON.stringify(span.text),
          ...span.pieces.map((pieces) => pieces.map(({ piece }) => shown(piece)).join("|")),
        ]),
      ),
    );
    say(sources.map((source, index) => `${source}: ${formatCount(sets[index]?.length ?? 0)} tokens`).join("; "));
  },
};

export const tokenizerVocabularyCommand: CommandSpec = {
  name: "tokenizer vocabulary",
  summary: "a vocabulary searched, or laid over another one",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    tokenizer: { type: "string", value: "DIR|FILE|gpt2", help: "which tokenizer" },
    search: { type: "string", value: "TEXT|/REGEX/", help: "pieces that hold this" },
    limit: { type: "string", value: "N", help: "entries shown (default 50)" },
    against: { type: "string", value: "DIR|FILE|gpt2", help: "another tokenizer: what both have, what only one has" },
    "ignore-marks": { type: "boolean", help: "with --against: a word's beginning and its continuation are one" },
  },
  run: async (call) => {
    const source = call.text("tokenizer");
    const pattern = call.text("search");
    const against = call.text("against");
    if (source === undefined || (pattern === undefined) === (against === undefined)) {
      throw badRequest(
        "`assay tokenizer vocabulary` needs --tokenizer, and either --search TEXT or --against TOKENIZER.",
      );
    }
    const limit = call.number("limit", { min: 1, integer: true }) ?? 50;
    const workspace = workspacePath(call.workspace);
    const tokenizer = await loadTokenizer(source, { workspace });
    if (pattern !== undefined) {
      const { entries, total } = searchVocabulary(tokenizer, pattern, limit);
      if (call.json) {
        sayJson({ total, entries });
        return;
      }
      say(
        table(
          [{ title: "id", right: true }, { title: "piece" }],
          entries.map(({ id, piece }) => [String(id), JSON.stringify(piece)]),
        ),
      );
      say(
        `${formatCount(total)} of ${formatCount(tokenizer.vocabSize)} pieces${total > limit ? `, ${limit} shown` : ""}`,
      );
      return;
    }
    const other = await loadTokenizer(against ?? "", { workspace });
    const overlap = vocabularyOverlap(tokenizer, other, { ignoreMarks: call.flag("ignore-marks"), examples: limit });
    if (call.json) {
      sayJson(overlap);
      return;
    }
    const [one, two] = overlap.sizes;
    say(
      `${formatCount(overlap.shared)} pieces in both: ${((100 * overlap.shared) / one).toFixed(1)} % of ${source}'s ${formatCount(one)}, ` +
        `${((100 * overlap.shared) / two).toFixed(1)} % of ${against}'s ${formatCount(two)}`,
    );
    const rows = Math.max(overlap.onlyFirst.length, overlap.onlySecond.length);
    say(
      table(
        [{ title: `only ${source}` }, { title: `only ${against}` }],
        Array.from({ length: rows }, (_, at) =>
          [overlap.onlyFirst[at], overlap.onlySecond[at]].map((entry) =>
            entry === undefined ? "" : JSON.stringify(entry.piece),
          ),
        ),
      ),
    );
  },
};
