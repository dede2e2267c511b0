// assay generate: continues a prompt from a checkpoint, token by token as they come.
import process from "node:process";
import { generateText } from "#core/models/generate";
import { loadModel } from "#core/models/load";
import { workspacePath } from "#core/paths";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { faint, note, sayJson } from "../output.ts";

export const generateCommand: CommandSpec = {
  name: "generate",
  summary: "continue a prompt from a checkpoint folder, or from a run's newest checkpoint",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    model: { type: "string", value: "DIR|RUN", help: "a checkpoint folder or a run" },
    prompt: { type: "string", value: "TEXT", help: "the text to continue (default: none, a new document)" },
    "max-new-tokens": { type: "string", value: "N", help: "at most so many tokens (default 64)" },
    temperature: { type: "string", value: "T", help: "0 takes the likeliest token (default 0.8)" },
    "top-k": { type: "string", value: "K", help: "sample from the K likeliest; 0 is all (default 40)" },
    "top-p": { type: "string", value: "P", help: "sample from the likeliest that make up P (default 1)" },
    seed: { type: "string", value: "N", help: "the same seed gives the same text (default 17)" },
    threads: { type: "string", value: "N", help: "threads (default: the physical cores)" },
    logprobs: { type: "boolean", help: "with --json: the log-probability of every token" },
  },
  run: async (call) => {
    const source = call.text("model");
    if (source === undefined) {
      throw badRequest("`assay generate` needs --model DIR|RUN.");
    }
    const threads = call.number("threads", { min: 1, max: 1024, integer: true });
    const sampling = {
      maxNewTokens: call.number("max-new-tokens", { min: 1, max: 100_000, integer: true }) ?? 64,
      temperature: call.number("temperature", { min: 0, max: 10 }) ?? 0.8,
      topK: call.number("top-k", { min: 0, integer: true }) ?? 40,
      topP: call.number("top-p", { min: 0, max: 1 }) ?? 1,
      seed: call.number("seed", { min: 0, integer: true }) ?? 17,
      stopAtEndOfText: true,
    };
    const prompt = call.text("prompt") ?? "";
    const loaded = await loadModel(source, {
      workspace: workspacePath(call.workspace),
      ...(threads === undefined ? {} : { threads }),
    });
    try {
      const tokens: { id: number; logprob: number }[] = [];
      let text = "";
      if (!call.json) {
        process.stdout.write(faint(prompt));
      }
      const interrupt = new AbortController();
      process.once("SIGINT", () => interrupt.abort());
      const result = await generateText(
        loaded,
        { prompt, ...sampling },
        (piece) => {
          text += piece.text;
          tokens.push({ id: piece.id, logprob: piece.logprob });
          if (!call.json) {
            process.stdout.write(piece.text);
          }
        },
        { signal: interrupt.signal },
      );
      if (call.json) {
        sayJson({ prompt, text, ...result, ...(call.flag("logprobs") ? { tokens } : {}) });
        return;
      }
      process.stdout.write("\n");
      const rate = result.newTokens / Math.max(result.seconds, 1e-9);
      note(faint(`${result.newTokens} tokens, ${rate.toFixed(1)} tok/s, ended: ${result.stopReason}`));
    } finally {
      loaded.model.dispose();
    }
  },
};
