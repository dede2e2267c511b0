// assay tokenizer compare: what several tokenizers make of one corpus, a list of terms, or annotated entities.
import { workspacePath } from "#core/paths";
import { compareTokenizers } from "#core/tokenizer/inspect";
import { BIOMEDLM_TERMS } from "#core/tokenizer/term-lists";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { sayJson } from "../output.ts";
import { sayComparison } from "./tokenizer-compare-tables.ts";

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
      help: "a corpus: bytes a token, tokens a word; with terms also how often each stands in it, with --iob how many words of the entities it holds",
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
    sayComparison(comparison);
  },
};
