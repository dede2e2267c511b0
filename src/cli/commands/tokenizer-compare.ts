// assay tokenizer compare: what several tokenizers make of one corpus, a list of terms, or annotated entities.

import { workspacePath } from "#core/paths";
import { compareTokenizers } from "#core/tokenizer/inspect";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatCount, say, sayJson, table } from "../output.ts";

export const tokenizerCompareCommand: CommandSpec = {
  name: "tokenizer compare",
  summary: "several tokenizers on one corpus, list of terms, or file of annotated entities",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    tokenizer: { type: "string", multiple: true, value: "DIR|FILE|gpt2", help: "one of those compared" },
    input: {
      type: "string",
      multiple: true,
      value: "PATH",
      help: "a corpus: bytes a token, tokens a word; with --terms also how often each term stands in it",
    },
    terms: { type: "string", value: "FILE", help: "one term a line, leading spaces count: the pieces of each" },
    term: { type: "string", multiple: true, value: "TEXT", help: "one term, as with --terms" },
    iob: { type: "string", value: "FILE", help: "IOB2 file: tokens a word of its entities (BioMegatron, Table 4)" },
  },
  run: async (call) => {
    const tokenizers = call.texts("tokenizer");
    if (tokenizers.length === 0) {
      throw badRequest("`assay tokenizer compare` needs at least one --tokenizer DIR|FILE|gpt2.");
    }
    const inputs = call.texts("input");
    const terms = call.text("terms");
    const iob = call.text("iob");
    if (inputs.length === 0 && terms === undefined && iob === undefined && call.texts("term").length === 0) {
      throw badRequest(
        "`assay tokenizer compare` needs something to compare on: --input PATH, --terms FILE, --term TEXT or --iob FILE.",
      );
    }
    const comparison = await compareTokenizers({
      tokenizers,
      inputs,
      ...(terms === undefined ? {} : { termsFile: terms }),
      terms: call.texts("term"),
      ...(iob === undefined ? {} : { iobFile: iob }),
      workspace: workspacePath(call.workspace),
    });
    if (call.json) {
      sayJson(comparison);
      return;
    }
    if (comparison.corpus !== null) {
      const { documents, words, bytes, rows } = comparison.corpus;
      say(`corpus: ${formatCount(documents)} documents, ${formatCount(words)} words, ${formatCount(bytes)} bytes`);
      say(
        table(
          [
            { title: "tokenizer" },
            { title: "tokens", right: true },
            { title: "bytes/token", right: true },
            { title: "tokens/word", right: true },
          ],
          rows.map((row) => [
            row.tokenizer,
            formatCount(row.tokens),
            (bytes / row.tokens).toFixed(3),
            (row.tokens / words).toFixed(3),
          ]),
        ),
      );
    }
    if (comparison.terms !== null) {
      const names = comparison.tokenizers;
      say(
        table(
          [
            { title: "term" },
            ...(comparison.corpus === null ? [] : [{ title: "in corpus", right: true }]),
            ...names.map((title) => ({ title })),
          ],
          comparison.terms.map((row) => [
            JSON.stringify(row.term),
            ...(comparison.corpus === null ? [] : [row.count === 0 ? "absent" : formatCount(row.count ?? 0)]),
            ...row.pieces.map((pieces) => pieces.map((piece) => piece.replaceAll(" ", "␣")).join("|")),
          ]),
        ),
      );
    }
    if (comparison.entities !== null) {
      say(
        `entities: ${formatCount(comparison.entities.mentions)} mentions, ${formatCount(comparison.entities.words)} words`,
      );
      say(
        table(
          [{ title: "tokenizer" }, { title: "tokens", right: true }, { title: "tokens/word", right: true }],
          comparison.entities.rows.map((row) => [row.tokenizer, formatCount(row.tokens), row.breakRate.toFixed(3)]),
        ),
      );
    }
  },
};
