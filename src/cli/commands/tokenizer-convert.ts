// assay tokenizer convert: a tokenizer of any format that is read, in one that is written.
import { workspacePath } from "#core/paths";
import { convertTokenizer, tokenizerFormats } from "#core/tokenizer/convert";
import { loadTokenizer } from "#core/tokenizer/load";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatCount, say, sayJson } from "../output.ts";

export const tokenizerConvertCommand: CommandSpec = {
  name: "tokenizer convert",
  summary:
    "a tokenizer in another format: tokenizer.json, vocab.txt, vocab.json with merges.txt, or SentencePiece's .model",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    tokenizer: { type: "string", value: "DIR|FILE|gpt2", help: "any that `tokenizer inspect` opens" },
    to: { type: "string", value: "FORMAT", help: `${tokenizerFormats.join(", ")} (default tokenizer.json)` },
    out: { type: "string", value: "DIR", help: "the folder to write" },
  },
  run: async (call) => {
    const source = call.text("tokenizer");
    const out = call.text("out");
    const to = call.text("to") ?? "tokenizer.json";
    const format = tokenizerFormats.find((each) => each === to);
    if (source === undefined || out === undefined) {
      throw badRequest("`assay tokenizer convert` needs --tokenizer DIR|FILE|gpt2 and --out DIR.");
    }
    if (format === undefined) {
      throw badRequest(`--to ${to} is no format that is written; ${tokenizerFormats.join(", ")} are.`);
    }
    const tokenizer = await loadTokenizer(source, { workspace: workspacePath(call.workspace) });
    const files = await convertTokenizer(tokenizer, format, out);
    if (call.json) {
      sayJson({ kind: tokenizer.kind, vocabSize: tokenizer.vocabSize, files });
      return;
    }
    say(`${tokenizer.kind}, ${formatCount(tokenizer.vocabSize)} tokens: ${files.join(", ")}`);
  },
};
