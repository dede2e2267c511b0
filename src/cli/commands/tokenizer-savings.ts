// assay tokenizer savings: what one vocabulary costs or saves against another in a planned training.
import { workspacePath } from "#core/paths";
import { vocabularySavings } from "#core/tokenizer/savings";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatBytes, formatCount, say, sayJson, table } from "../output.ts";

export const tokenizerSavingsCommand: CommandSpec = {
  name: "tokenizer savings",
  summary: "what a vocabulary saves in tokens and GPU-hours of a planned training",
  operands: "RECIPE",
  minOperands: 1,
  maxOperands: 1,
  options: {
    tokenizer: {
      type: "string",
      multiple: true,
      value: "DIR|FILE|gpt2",
      help: "those compared; the first is the one whose tokens the recipe plans",
    },
    input: { type: "string", multiple: true, value: "PATH", help: "text of the field, to count tokens on" },
    gpu: { type: "string", value: "NAME", help: "hours of one of these, as `assay plan` names them" },
    mfu: { type: "string", value: "SHARE", help: "share of the GPU's peak that is reached" },
  },
  run: async (call) => {
    const tokenizers = call.texts("tokenizer");
    const inputs = call.texts("input");
    const gpu = call.text("gpu");
    const mfu = call.number("mfu", { min: 0.001, max: 1 }) ?? null;
    if (tokenizers.length < 2 || inputs.length === 0) {
      throw badRequest("`assay tokenizer savings` needs at least two --tokenizer DIR|FILE|gpt2, and --input PATH.");
    }
    if (gpu === undefined && mfu !== null) {
      throw badRequest("--mfu is the share of a GPU's peak; name the GPU with --gpu NAME.");
    }
    const savings = await vocabularySavings({
      source: call.operands[0] ?? "",
      tokenizers,
      inputs,
      workspace: workspacePath(call.workspace),
      gpu: gpu === undefined ? null : { name: gpu, mfu },
    });
    if (call.json) {
      sayJson(savings);
      return;
    }
    say(`${savings.plan}: ${formatBytes(savings.textBytes)} of text, passes counted`);
    say(
      table(
        [
          { title: "tokenizer" },
          { title: "pieces", right: true },
          { title: "bytes/token", right: true },
          { title: "tokens", right: true },
          { title: "saved", right: true },
          { title: "FLOP", right: true },
          { title: "saved", right: true },
          ...(gpu === undefined ? [] : [{ title: "GPU-hours", right: true }]),
        ],
        savings.rows.map((row) => [
          row.tokenizer,
          formatCount(row.vocabSize),
          row.bytesPerToken.toFixed(3),
          formatCount(row.tokens),
          `${(100 * row.savedTokens).toFixed(1)} %`,
          row.flops.toExponential(2),
          `${(100 * row.savedFlops).toFixed(1)} %`,
          ...(row.gpuHours === null ? [] : [row.gpuHours.toPrecision(4)]),
        ]),
      ),
    );
  },
};
