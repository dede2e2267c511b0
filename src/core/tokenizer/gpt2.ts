// GPT-2's own tokenizer, from the npm package tiktoken, which carries its ranked tokens; the merges are derived from the
// ranks by the engine. Nothing is fetched.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { z } from "zod";
import { AppError } from "#shared/errors";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";

const encoderSchema = z.object({
  special_tokens: z.record(z.string(), z.number().int()),
  bpe_ranks: z.string(),
});

/** tiktoken's form: lines of a mark, the first rank, and base64 tokens in rank order. */
export function parseRanks(text: string): readonly Uint8Array[] {
  const tokens: Uint8Array[] = [];
  for (const line of text.split("\n")) {
    const [mark, first, ...encoded] = line.split(" ");
    if (mark === undefined || first === undefined) {
      continue;
    }
    const start = Number(first);
    for (const [index, token] of encoded.entries()) {
      tokens[start + index] = Buffer.from(token, "base64");
    }
  }
  return tokens;
}

export async function loadGpt2Tokenizer(): Promise<NativeTokenizer> {
  let text: string;
  try {
    text = await readFile(createRequire(import.meta.url).resolve("tiktoken/encoders/gpt2.json"), "utf8");
  } catch (cause) {
    throw new AppError(
      "TOKENIZER_NOT_FOUND",
      "GPT-2's tokenizer comes with the npm package tiktoken, which is not installed; run npm ci.",
      {
        cause,
      },
    );
  }
  const encoder = encoderSchema.parse(JSON.parse(text));
  return loadAddon().tokenizerFromRanks(parseRanks(encoder.bpe_ranks), encoder.special_tokens);
}
