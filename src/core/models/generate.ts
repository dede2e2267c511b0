// Text from a model, token by token, one prompt or several side by side; and what a model thinks of a given text. The
// engine holds back what may become part of a stop text and joins characters that are split over tokens, so that what is
// shown is always text that stays.
import type { CancelSignal } from "#shared/ipc/contract";
import type { Sampling } from "#shared/ipc/models.contract";
import type {
  NativeAlternative,
  NativeGeneratedToken,
  NativeGenerationRequest,
  NativeGenerationResult,
  NativeTokenizer,
} from "../engine/addon.ts";
import type { LoadedModel } from "./load.ts";

export type GeneratedPiece = {
  /** The whole characters that this token completes; empty while there are none. */
  readonly text: string;
  readonly id: number;
  readonly logprob: number;
  readonly index: number;
  /** The likeliest tokens in its place, where they were asked for. */
  readonly alternatives?: readonly NativeAlternative[];
};

export type GenerationReport = {
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly promptSeconds: number;
  readonly seconds: number;
  readonly stopReason: "length" | "stop" | "cancelled";
};

export type TextRequest = Sampling & {
  readonly prompt: string;
  /** 1 is none. */
  readonly repetitionPenalty?: number;
  /** How many alternatives each token comes with. */
  readonly topLogprobs?: number;
  /** The text ends before the first of these. */
  readonly stop?: readonly string[];
};

type Speaker = Pick<LoadedModel, "model" | "tokenizer">;

function nativeRequest(tokenizer: NativeTokenizer, request: TextRequest): NativeGenerationRequest {
  const endOfTextId = tokenizer.endOfTextId;
  return {
    prompt: tokenizer.encode(request.prompt).ids,
    ...(endOfTextId === null ? {} : { endOfTextId }),
    maxNewTokens: request.maxNewTokens,
    temperature: request.temperature,
    topK: request.topK,
    topP: request.topP,
    seed: request.seed,
    stopIds: request.stopAtEndOfText && endOfTextId !== null ? Uint32Array.of(endOfTextId) : new Uint32Array(0),
    repetitionPenalty: request.repetitionPenalty ?? 1,
    topLogprobs: request.topLogprobs ?? 0,
    tokenizer,
    stopTexts: (request.stop ?? []).filter((stop) => stop !== ""),
  };
}

function pieceOf({ text, ...token }: NativeGeneratedToken): GeneratedPiece {
  return { ...token, text: text ?? "" };
}

function reportOf(request: NativeGenerationRequest, result: NativeGenerationResult): GenerationReport {
  return {
    promptTokens: request.prompt.length,
    newTokens: result.ids.length,
    promptSeconds: result.promptSeconds,
    seconds: result.seconds,
    stopReason: result.stopReason,
  };
}

/** Ends the work when `signal` is aborted, also when it was before. */
async function untilDone<Result>(
  work: { readonly done: Promise<Result>; cancel(): void },
  signal: CancelSignal | undefined,
): Promise<Result> {
  const cancel = (): void => work.cancel();
  if (signal?.aborted === true) {
    cancel();
  }
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return await work.done;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/** `onPiece` hears every token in order. `onRest` hears what is left at the end of a character that was not finished. */
export async function generateText(
  { model, tokenizer }: Speaker,
  request: TextRequest,
  onPiece: (piece: GeneratedPiece) => void,
  options: { readonly signal?: CancelSignal; readonly onRest?: (text: string) => void } = {},
): Promise<GenerationReport> {
  const native = nativeRequest(tokenizer, request);
  let heard = 0;
  const generation = model.generate(native, (token) => {
    const piece = pieceOf(token);
    heard += piece.text.length;
    onPiece(piece);
  });
  const result = await untilDone(generation, options.signal);
  const rest = (result.text ?? "").slice(heard);
  if (rest !== "") {
    options.onRest?.(rest);
  }
  return reportOf(native, result);
}

/** The whole text of a generation, for those who do not watch. */
export async function generateWhole(
  { model, tokenizer }: Speaker,
  request: TextRequest,
  options: { readonly signal?: CancelSignal } = {},
): Promise<string> {
  const generation = model.generate(nativeRequest(tokenizer, request), () => {});
  return (await untilDone(generation, options.signal)).text ?? "";
}

export type Continuation = GenerationReport & { readonly text: string };

/** Continues several prompts side by side: each as alone, but together in little more time than one. */
export async function generateTexts(
  { model, tokenizer }: Speaker,
  requests: readonly TextRequest[],
  options: {
    readonly signal?: CancelSignal;
    readonly onPiece?: (piece: GeneratedPiece, request: number) => void;
  } = {},
): Promise<readonly Continuation[]> {
  const natives = requests.map((request) => nativeRequest(tokenizer, request));
  const { onPiece } = options;
  const generation = model.generateBatch(
    natives,
    onPiece === undefined ? undefined : (token, request) => onPiece(pieceOf(token), request),
  );
  const results = await untilDone(generation, options.signal);
  return natives.flatMap((native, index) => {
    const result = results[index];
    return result === undefined ? [] : [{ ...reportOf(native, result), text: result.text ?? "" }];
  });
}
