// "64 tokens, 9.1 ms/token, 110 tok/s": how fast the continuation came, and why it ended.
import { assertNever } from "#shared/errors";
import type { Generation } from "./store.ts";
import { type Continuation, meanBits } from "./stream-text.ts";

const reasons = { length: "as many as asked", stop: "ended by itself", cancelled: "stopped" } as const;

export function generationFigures(generation: Generation, continuation: Continuation): string {
  const tokens = `${continuation.tokenCount} ${continuation.tokenCount === 1 ? "token" : "tokens"}`;
  const bits = meanBits(continuation);
  const surprise = bits === null || !Number.isFinite(bits) ? [] : [`${bits.toFixed(2)} bits/token`];
  switch (generation.state) {
    case "idle":
      return "";
    case "waiting":
      return "reading the prompt…";
    case "streaming":
      return tokens;
    case "failed":
      return continuation.tokenCount === 0 ? "" : `${tokens}, then it failed`;
    case "stopped":
      return [tokens, ...surprise, reasons.cancelled].join(", ");
    case "done": {
      const { newTokens, seconds, stopReason } = generation.result;
      const perToken = newTokens > 0 && seconds > 0 ? (1000 * seconds) / newTokens : null;
      const speed =
        perToken === null
          ? []
          : [
              `${perToken < 10 ? perToken.toFixed(1) : perToken.toFixed(0)} ms/token`,
              `${Math.round(1000 / perToken)} tok/s`,
            ];
      return [tokens, ...speed, ...surprise, reasons[stopReason]].join(", ");
    }
    default:
      return assertNever(generation);
  }
}
