// Text from a model, token by token. A character that is split over tokens is held back until it is whole, so that what
// is shown is always text.
import type { CancelSignal } from "#shared/ipc/contract";
import type { Sampling } from "#shared/ipc/models.contract";
import type { LoadedModel } from "./load.ts";

export type GeneratedPiece = {
  readonly text: string;
  readonly id: number;
  readonly logprob: number;
  readonly index: number;
};

export type GenerationReport = {
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly promptSeconds: number;
  readonly seconds: number;
  readonly stopReason: "length" | "stop" | "cancelled";
};

/** `onPiece` hears every token in order; its text is empty while a character is not whole yet. */
export async function generateText(
  { model, tokenizer }: Pick<LoadedModel, "model" | "tokenizer">,
  request: Sampling & { readonly prompt: string },
  onPiece: (piece: GeneratedPiece) => void,
  options: { readonly signal?: CancelSignal } = {},
): Promise<GenerationReport> {
  const prompt = tokenizer.encode(request.prompt).ids;
  const endOfTextId = tokenizer.endOfTextId;
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const generation = model.generate(
    {
      prompt,
      ...(endOfTextId === null ? {} : { endOfTextId }),
      maxNewTokens: request.maxNewTokens,
      temperature: request.temperature,
      topK: request.topK,
      topP: request.topP,
      seed: request.seed,
      stopIds: request.stopAtEndOfText && endOfTextId !== null ? Uint32Array.of(endOfTextId) : new Uint32Array(0),
    },
    (token) => {
      onPiece({ ...token, text: decoder.decode(tokenizer.tokenBytes(token.id), { stream: true }) });
    },
  );
  const cancel = (): void => generation.cancel();
  if (options.signal?.aborted === true) {
    cancel();
  }
  options.signal?.addEventListener("abort", cancel, { once: true });
  try {
    const result = await generation.done;
    return {
      promptTokens: prompt.length,
      newTokens: result.ids.length,
      promptSeconds: result.promptSeconds,
      seconds: result.seconds,
      stopReason: result.stopReason,
    };
  } finally {
    options.signal?.removeEventListener("abort", cancel);
  }
}

/** The whole text of a generation, for those who do not watch. */
export async function generateWhole(
  loaded: Pick<LoadedModel, "model" | "tokenizer">,
  request: Sampling & { readonly prompt: string },
  options: { readonly signal?: CancelSignal } = {},
): Promise<string> {
  const ids: number[] = [];
  await generateText(loaded, request, (piece) => ids.push(piece.id), options);
  return new TextDecoder().decode(loaded.tokenizer.decode(Uint32Array.from(ids)));
}
