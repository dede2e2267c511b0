// Text from a model, token by token. A character that is split over tokens is held back until it is whole, and so is what
// may yet become a stop string, so that what is shown is always text that stays.
import type { CancelSignal } from "#shared/ipc/contract";
import type { Sampling } from "#shared/ipc/models.contract";
import type { NativeAlternative, NativeGenerationRequest, NativeTokenizer } from "../engine/addon.ts";
import type { LoadedModel } from "./load.ts";
import { StopText } from "./stop-text.ts";

export type GeneratedPiece = {
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
  };
}

/** `onPiece` hears every token in order; its text is empty while it is held back. `onRest` hears what was held at the end. */
export async function generateText(
  { model, tokenizer }: Pick<LoadedModel, "model" | "tokenizer">,
  request: TextRequest,
  onPiece: (piece: GeneratedPiece) => void,
  options: { readonly signal?: CancelSignal; readonly onRest?: (text: string) => void } = {},
): Promise<GenerationReport> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const stop = new StopText(request.stop ?? []);
  let heard = 0;
  const native = nativeRequest(tokenizer, request);
  const generation = model.generate(native, (token) => {
    if (stop.isEnded) {
      return;
    }
    heard += 1;
    const text = decoder.decode(tokenizer.tokenBytes(token.id), { stream: true });
    onPiece({ ...token, text: stop.push(text) });
    if (stop.isEnded) {
      generation.cancel();
    }
  });
  const cancel = (): void => generation.cancel();
  if (options.signal?.aborted === true) {
    cancel();
  }
  options.signal?.addEventListener("abort", cancel, { once: true });
  try {
    const result = await generation.done;
    // What is left of a character that was not finished is shown as such, as every decoder does.
    const rest = stop.isEnded ? "" : stop.push(decoder.decode()) + stop.end();
    if (rest !== "") {
      options.onRest?.(rest);
    }
    return {
      promptTokens: native.prompt.length,
      newTokens: stop.isEnded ? heard : result.ids.length,
      promptSeconds: result.promptSeconds,
      seconds: result.seconds,
      stopReason: stop.isEnded ? "stop" : result.stopReason,
    };
  } finally {
    options.signal?.removeEventListener("abort", cancel);
  }
}

/** The whole text of a generation, for those who do not watch. */
export async function generateWhole(
  loaded: Pick<LoadedModel, "model" | "tokenizer">,
  request: TextRequest,
  options: { readonly signal?: CancelSignal } = {},
): Promise<string> {
  let text = "";
  await generateText(
    loaded,
    request,
    (piece) => {
      text += piece.text;
    },
    {
      ...options,
      onRest: (rest) => {
        text += rest;
      },
    },
  );
  return text;
}
