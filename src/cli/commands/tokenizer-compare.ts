// assay tokenizer compare: what several tokenizers make of one corpus, a list of terms, or annotated entities.

import { workspacePath } from "#core/paths";
import { compareTokenizers, type EntityBreaks, type TokenizerComparison } from "#core/tokenizer/inspect";
import { BIOMEDLM_TERMS } from "#core/tokenizer/term-lists";
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
    biomedlm: { type: "boolean", help: "the five terms that BioMedLM's authors looked at, as with --term" },
    iob: {
      type: "string",
      multiple: true,
      value: "FILE",
      help: "IOB2 file: tokens a word of its entities, the break rate of BioMegatron's Table 4, beside what was published",
    },
    "top-entities": {
      type: "string",
      value: "N",
      help: "the N most frequent names of each --iob file as terms, with their mentions",
    },
  },
  run: async (call) => {
    const tokenizers = call.texts("tokenizer");
    if (tokenizers.length === 0) {
      throw badRequest("`assay tokenizer compare` needs at least one --tokenizer DIR|FILE|gpt2.");
    }
    const inputs = call.texts("input");
    const terms = call.text("terms");
    const iobFiles = call.texts("iob");
    const topEntities = call.number("top-entities", { min: 1, integer: true }) ?? 0;
    const chosen = [...(call.flag("biomedlm") ? BIOMEDLM_TERMS.map((term) => ` ${term}`) : []), ...call.texts("term")];
    if (topEntities > 0 && iobFiles.length === 0) {
      throw badRequest("--top-entities N counts the names of annotated entities; give them with --iob FILE.");
    }
    if (inputs.length === 0 && terms === undefined && iobFiles.length === 0 && chosen.length === 0) {
      throw badRequest(
        "`assay tokenizer compare` needs something to compare on: --input PATH, --terms FILE, --term TEXT, --biomedlm or --iob FILE.",
      );
    }
    const comparison = await compareTokenizers({
      tokenizers,
      inputs,
      ...(terms === undefined ? {} : { termsFile: terms }),
      terms: chosen,
      iobFiles,
      topEntities,
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
            { title: "whole words", right: true },
          ],
          rows.map((row) => [
            row.tokenizer,
            formatCount(row.tokens),
            (bytes / row.tokens).toFixed(3),
            (row.tokens / words).toFixed(3),
            `${(100 * row.wholeWords).toFixed(1)} %`,
          ]),
        ),
      );
    }
    if (comparison.terms !== null) {
      sayTerms(comparison);
    }
    for (const entities of comparison.entities ?? []) {
      sayEntities(entities);
    }
  },
};

function sayTerms(comparison: TokenizerComparison): void {
  const terms = comparison.terms ?? [];
  const hasMentions = terms.some((row) => row.mentions !== null);
  const hasCorpus = comparison.corpus !== null;
  say(
    table(
      [
        { title: "term" },
        ...(hasMentions ? [{ title: "mentions", right: true }] : []),
        ...(hasCorpus ? [{ title: "in corpus", right: true }] : []),
        ...comparison.tokenizers.map((title) => ({ title })),
      ],
      terms.map((row) => [
        JSON.stringify(row.term),
        ...(hasMentions ? [row.mentions === null ? "" : formatCount(row.mentions)] : []),
        ...(hasCorpus ? [row.count === 0 ? "absent" : formatCount(row.count ?? 0)] : []),
        ...row.pieces.map((pieces) => pieces.map((piece) => piece.replaceAll(" ", "␣")).join("|")),
      ]),
    ),
  );
  const counts = comparison.tokenizers.map((name, index) => {
    const whole = terms.filter((row) => row.pieces[index]?.length === 1).length;
    const pieces = terms.reduce((sum, row) => sum + (row.pieces[index]?.length ?? 0), 0);
    return `${name} keeps ${whole} of ${terms.length} whole, ${(pieces / terms.length).toFixed(2)} pieces a term`;
  });
  say(counts.join("; "));
}

function sayEntities(entities: EntityBreaks): void {
  say(
    `${entities.file}: ${formatCount(entities.mentions)} entities, ${formatCount(entities.words)} words; tokens a word of them:`,
  );
  say(
    table(
      [{ title: "tokenizer" }, { title: "tokens", right: true }, { title: "tokens/word", right: true }, { title: "" }],
      [
        ...entities.rows.map((row) => [row.tokenizer, formatCount(row.tokens), row.breakRate.toFixed(3), ""]),
        ...entities.published.map((row) => [row.tokenizer, "", row.breakRate.toFixed(3), row.source]),
      ],
    ),
  );
}
