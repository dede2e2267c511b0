// assay generate: continues prompts with a model, token by token as they come.
import process from "node:process";
import { readDevice } from "#core/engine/device";
import {
  type GeneratedPiece,
  type GenerationReport,
  generateText,
  generateTexts,
  type TextRequest,
} from "#core/models/generate";
import { lintBeforeUse } from "#core/models/lint-before-use";
import { type LoadedModel, loadGenerator } from "#core/models/load";
import { scoreText } from "#core/models/score";
import { workspacePath } from "#core/paths";
import { badRequest, type CommandCall, type CommandSpec } from "../arguments.ts";
import { faint, note, say, sayJson } from "../output.ts";

const weightTypes = ["fp32", "bf16", "int8"] as const;

type ToldToken = {
  readonly id: number;
  readonly text: string;
  /** Null where nothing stands before it. */
  readonly logprob: number | null;
  readonly alternatives?: readonly { readonly id: number; readonly text: string; readonly logprob: number }[];
};

type Told = GenerationReport & {
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

function toldToken(loaded: LoadedModel, { id, logprob, alternatives }: GeneratedPiece): ToldToken {
  const told = (alternatives ?? []).map((each) => ({ ...each, text: tokenText(loaded, each.id) }));
  return { id, text: tokenText(loaded, id), logprob, ...(told.length === 0 ? {} : { alternatives: told }) };
}

type Watch = { readonly show: (text: string) => void; readonly signal: AbortSignal };

/** One prompt, shown as it is continued. */
async function continueOne(loaded: LoadedModel, request: TextRequest, { show, signal }: Watch): Promise<Told> {
  const tokens: ToldToken[] = [];
  let text = "";
  const take = (piece: string): void => {
    text += piece;
    show(piece);
  };
  const report = await generateText(
    loaded,
    request,
    (piece) => {
      tokens.push(toldToken(loaded, piece));
      take(piece.text);
    },
    { signal, onRest: take },
  );
  return { prompt: request.prompt, text, ...report, tokens };
}

/** Several prompts side by side, each as it would be continued alone. */
async function continueAll(
  loaded: LoadedModel,
  requests: readonly TextRequest[],
  signal: AbortSignal,
): Promise<readonly Told[]> {
  const tokens: ToldToken[][] = requests.map(() => []);
  const continuations = await generateTexts(loaded, requests, {
    signal,
    onPiece: (piece, request) => tokens[request]?.push(toldToken(loaded, piece)),
  });
  return continuations.map((continuation, index) => ({
    prompt: requests[index]?.prompt ?? "",
    ...continuation,
    tokens: tokens[index] ?? [],
  }));
}

/** Each token of a text with how likely it was and what else might have stood there. */
function sayTokens(tokens: readonly ToldToken[]): void {
  for (const { text, logprob, alternatives } of tokens) {
    const others = (alternatives ?? []).map((each) => `${JSON.stringify(each.text)} ${each.logprob.toFixed(2)}`);
    const among = others.length === 0 ? "" : `  of ${others.join(", ")}`;
    const shown = logprob === null ? "" : logprob.toFixed(2);
    note(`${shown.padStart(7)}  ${JSON.stringify(text)}${among}`);
  }
}

function sayFigures({ newTokens, seconds, stopReason }: Told): void {
  const rate = newTokens / Math.max(seconds, 1e-9);
  note(faint(`${newTokens} tokens, ${rate.toFixed(1)} tok/s, ended: ${stopReason}`));
}

async function runPrompts(call: CommandCall, loaded: LoadedModel, prompts: readonly string[]): Promise<void> {
  const sampling = readSampling(call);
  const wantsLogprobs = call.flag("logprobs") || sampling.topLogprobs > 0;
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  const requests = prompts.map((prompt) => ({ prompt, ...sampling }));
  const [first] = requests;
  const isOne = first !== undefined && requests.length === 1;
  if (isOne && !call.json) {
    process.stdout.write(faint(first.prompt));
  }
  const show = (text: string): boolean => call.json || process.stdout.write(text);
  const told = isOne
    ? [await continueOne(loaded, first, { show, signal: interrupt.signal })]
    : await continueAll(loaded, requests, interrupt.signal);
  if (call.json) {
    const results = told.map(({ tokens, ...rest }) => (wantsLogprobs ? { ...rest, tokens } : rest));
    sayJson(isOne ? results[0] : { results });
    return;
  }
  for (const each of told) {
    process.stdout.write(isOne ? "\n" : `${faint(each.prompt)}${each.text}\n`);
    if (wantsLogprobs) {
      sayTokens(each.tokens);
    }
    sayFigures(each);
  }
}

/** What the model thinks of a text that is given. */
async function runScore(call: CommandCall, loaded: LoadedModel, text: string): Promise<void> {
  const topLogprobs = call.number("top-logprobs", { min: 0, max: 100, integer: true }) ?? 0;
  const score = await scoreText(loaded, text, { topLogprobs });
  const tokens = score.tokens.map(({ alternatives, ...token }) => ({
    ...token,
    text: tokenText(loaded, token.id),
    ...(topLogprobs === 0
      ? {}
      : { alternatives: alternatives.map((each) => ({ ...each, text: tokenText(loaded, each.id) })) }),
  }));
  if (call.json) {
    sayJson({ ...score, text, tokens });
    return;
  }
  sayTokens(tokens);
  const perplexity = score.perplexity === null ? "unknown" : score.perplexity.toFixed(2);
  say(`${score.scored} tokens, ${score.nats.toFixed(2)} nats, perplexity ${perplexity}`);
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
    score: { type: "string", value: "TEXT", help: "continue nothing: tell how likely each token of this text is" },
    "max-new-tokens": { type: "string", value: "N", help: "at most so many tokens (default 64)" },
    temperature: { type: "string", value: "T", help: "0 takes the likeliest token (default 0.8)" },
    "top-k": { type: "string", value: "K", help: "sample from the K likeliest; 0 is all (default 40)" },
    "top-p": { type: "string", value: "P", help: "sample from the likeliest that make up P (default 1)" },
    "repetition-penalty": { type: "string", value: "R", help: "above 1 makes what was said less likely (default 1)" },
    stop: { type: "string", value: "TEXT", multiple: true, help: "end before this text" },
    seed: { type: "string", value: "N", help: "the same seed gives the same text (default 17)" },
    weights: { type: "string", value: "TYPE", help: "fp32, or half and a quarter of the memory: bf16, int8" },
    device: { type: "string", value: "DEVICE", help: "cpu, cuda:0 or auto: a GPU where one can be used (default)" },
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
    readSampling(call);
    const prompts = call.texts("prompt");
    const scored = call.text("score");
    if (scored !== undefined && prompts.length > 0) {
      throw badRequest("`assay generate` either continues a --prompt or takes a --score of a text, not both.");
    }
    const loaded = await loadGenerator(source, {
      workspace: workspacePath(call.workspace),
      device: readDevice(call.text("device") ?? "auto"),
      ...(threads === undefined ? {} : { threads }),
      ...(weights === undefined ? {} : { weights }),
    });
    try {
      // A GGUF brings its tokenizer along; what lies beside it is not its own.
      const doubts = loaded.json === null ? [] : await lintBeforeUse(loaded.config, loaded.special, loaded.directory);
      for (const doubt of doubts) {
        note(`warning: ${doubt}`);
      }
      if (scored === undefined) {
        await runPrompts(call, loaded, prompts.length === 0 ? [""] : prompts);
      } else {
        await runScore(call, loaded, scored);
      }
    } finally {
      loaded.model.dispose();
    }
  },
};
