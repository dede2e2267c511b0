// assay tokenizer lint: whether a tokenizer belongs to a model, before anything is trained or asked of the two.
import process from "node:process";
import { lintFit } from "#core/models/lint-fit";
import { workspacePath } from "#core/paths";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { say, sayJson } from "../output.ts";

export const tokenizerLintCommand: CommandSpec = {
  name: "tokenizer lint",
  summary:
    "whether a tokenizer belongs to a model: sizes, special ids, added tokens, merges, case, lengths, and a text there and\n" +
    "back; ends with 1 where the two cannot work together",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    model: { type: "string", value: "MODEL", help: "a folder, run or file as `assay convert` takes it" },
    tokenizer: { type: "string", value: "DIR|FILE|gpt2", help: "the tokenizer (default: the model's own)" },
    text: { type: "string", value: "TEXT", help: "the text for the way there and back (default: a sample)" },
  },
  run: async (call) => {
    const model = call.text("model");
    if (model === undefined) {
      throw badRequest(
        "`assay tokenizer lint` needs --model MODEL, and --tokenizer DIR|FILE|gpt2 unless it is its own.",
      );
    }
    const fit = await lintFit({
      model,
      tokenizer: call.text("tokenizer") ?? null,
      text: call.text("text"),
      workspace: workspacePath(call.workspace),
    });
    const isBroken = fit.findings.some(({ severity }) => severity === "error");
    if (isBroken) {
      process.exitCode = 1;
    }
    if (call.json) {
      sayJson(fit);
      return;
    }
    say(`${fit.tokenizer === "" ? "no tokenizer" : fit.tokenizer} with ${fit.model}`);
    for (const { severity, code, message } of fit.findings) {
      say(`${severity.padEnd(7)}  ${message} (${code})`);
    }
    if (fit.findings.length === 0) {
      say("They fit: nothing to remark.");
    } else if (!isBroken && fit.findings.every(({ severity }) => severity === "note")) {
      say("They fit.");
    }
  },
};
