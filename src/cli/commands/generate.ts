// assay generate: continues prompts with a model, token by token as they come.
import process from "node:process";
import type { NativeAlternative } from "#core/engine/addon";
import { type GenerationReport, generateText } from "#core/models/generate";
import { lintBeforeUse } from "#core/models/lint-before-use";
import { type LoadedModel, loadGenerator } from "#core/models/load";
import { workspacePath } from "#core/paths";
import { badRequest, type CommandCall, type CommandSpec } from "../arguments.ts";
import { faint, note, sayJson } from "../output.ts";

const weightTypes = ["fp32", "bf16", "int8"] as const;

type ToldToken = {
  readonly id: number;
  readonly text: string;
  readonly logprob: number;
  readonly alternatives?: readonly { readonly id: number; readonly text: string; readonly logprob: number }[];
};

type Continuation = GenerationReport & {
  readonly prompt: string;
  readonly text: string;
  readonly tokens: readonly ToldToken[];
};

function readSampling(call: CommandCall) {
  return {
    maxNewTokens: call.number("max-new-tokens", { min: 1, max: 100_000, integer: true }) ?? 64,
    temperature: call.number("temperature", { min: 0, max: 10 }) ?? 0.8,
    topK: call.number("top-k", { min: 0, integer: true }) ?? 40,
    topP: call.number("top-p", { min: 0, max: 1 }) ?? 1,
    seed: call.number("seed", { min: 0, integer: true }) ?? 17,
    repetitionPenalty: call.number("repetition-penalty", { min: 0.01, max: 100 }) ?? 1,
    topLogprobs: call.number("top-logprobs", { min: 0, max: 100, integer: true }) ?? 0,
    stop: call.texts("stop"),
    stopAtEndOfText: true,
  };
}

/** A token as text; one that holds part of a character shows the sign for that. */
function tokenText({ tokenizer }: LoadedModel, id: number): string {
  return new TextDecoder().decode(tokenizer.tokenBytes(id));
}

async function continuePrompt(
  loaded: LoadedModel,
  prompt: string,
  sampling: ReturnType<typeof readSampling>,
  show: (text: string) => void,
  signal: AbortSignal,
): Promise<Continuation> {
  const tokens: ToldToken[] = [];
  let text = "";
  const take = (piece: string): void => {
    text += piece;
    show(piece);
  };
  const told = (alternative: NativeAlternative) => ({ ...alternative, text: tokenText(loaded, alternative.id) });
  const report = await generateText(
    loaded,
    { prompt, ...sampling },
    ({ text: piece, id, logprob, alternatives }) => {
      tokens.push({
        id,
        text: tokenText(loaded, id),
        logprob,
        ...(alternatives === undefined || sampling.topLogprobs === 0 ? {} : { alternatives: alternatives.map(told) }),
      });
      take(piece);
    },
    { signal, onRest: take },
  );
  return { prompt, text, ...report, tokens };
}

/** Each token of a text with how likely it was and what else might have stood there. */
function sayTokens(continuation: Continuation): void {
  for (const { text, logprob, alternatives } of continuation.tokens) {
    const others = (alternatives ?? []).map((each) => `${JSON.stringify(each.text)} ${each.logprob.toFixed(2)}`);
    note(
      `${logprob.toFixed(2).padStart(7)}  ${JSON.stringify(text)}${others.length === 0 ? "" : `  of ${others.join(", ")}`}`,
    );
  }
}

export const generateCommand: CommandSpec = {
  name: "generate",
  summary: "continue prompts with a model: a folder, a run's newest checkpoint, an adapter or a .gguf",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    model: { type: "string", value: "DIR|RUN|FILE", help: "a model folder, a run, an adapter or a .gguf" },
    prompt: {
      type: "string",
      value: "TEXT",
      multiple: true,
      help: "the text to continue (default: none, a new document)",
    },
    "max-new-tokens": { type: "string", value: "N", help: "at most so many tokens (default 64)" },
    temperature: { type: "string", value: "T", help: "0 takes the likeliest token (default 0.8)" },
    "top-k": { type: "string", value: "K", help: "sample from the K likeliest; 0 is all (default 40)" },
    "top-p": { type: "string", value: "P", help: "sample from the likeliest that make up P (default 1)" },
    "repetition-penalty": { type: "string", value: "R", help: "above 1 makes what was said less likely (default 1)" },
    stop: { type: "string", value: "TEXT", multiple: true, help: "end before this text" },
    seed: { type: "string", value: "N", help: "the same seed gives the same text (default 17)" },
    weights: { type: "string", value: "TYPE", help: "fp32, or half and a quarter of the memory: bf16, int8" },
    threads: { type: "string", value: "N", help: "threads (default: the physical cores)" },
    logprobs: { type: "boolean", help: "the log-probability of every token" },
    "top-logprobs": { type: "string", value: "N", help: "with --logprobs: the N likeliest tokens in each place" },
  },
  run: async (call) => {
    const source = call.text("model");
    if (source === undefined) {
      throw badRequest("`assay generate` needs --model DIR|RUN|FILE.");
    }
    const named = call.text("weights");
    const weights = weightTypes.find((each) => each === named);
    if (named !== undefined && weights === undefined) {
      throw badRequest(`--weights takes ${weightTypes.join(", ")}, not "${named}".`);
    }
    const threads = call.number("threads", { min: 1, max: 1024, integer: true });
    const sampling = readSampling(call);
    const wantsLogprobs = call.flag("logprobs") || sampling.topLogprobs > 0;
    const prompts = call.texts("prompt").length === 0 ? [""] : call.texts("prompt");
    const loaded = await loadGenerator(source, {
      workspace: workspacePath(call.workspace),
      ...(threads === undefined ? {} : { threads }),
      ...(weights === undefined ? {} : { weights }),
    });
    // A GGUF brings its tokenizer along; what lies beside it is not its own.
    const doubts = loaded.json === null ? [] : await lintBeforeUse(loaded.config, loaded.special, loaded.directory);
    for (const doubt of doubts) {
      note(`warning: ${doubt}`);
    }
    const interrupt = new AbortController();
    process.once("SIGINT", () => interrupt.abort());
    try {
      const continuations: Continuation[] = [];
      for (const prompt of prompts) {
        if (interrupt.signal.aborted) {
          break;
        }
        if (!call.json) {
          process.stdout.write(faint(prompt));
        }
        const show = (text: string): boolean => call.json || process.stdout.write(text);
        const continuation = await continuePrompt(loaded, prompt, sampling, show, interrupt.signal);
        continuations.push(continuation);
        if (!call.json) {
          process.stdout.write("\n");
          if (wantsLogprobs) {
            sayTokens(continuation);
          }
          const rate = continuation.newTokens / Math.max(continuation.seconds, 1e-9);
          note(faint(`${continuation.newTokens} tokens, ${rate.toFixed(1)} tok/s, ended: ${continuation.stopReason}`));
        }
      }
      if (call.json) {
        const told = continuations.map(({ tokens, ...rest }) => (wantsLogprobs ? { ...rest, tokens } : rest));
        sayJson(prompts.length === 1 ? told[0] : { results: told });
      }
    } finally {
      loaded.model.dispose();
    }
  },
};
