// How surprising a token was to the model that chose it, as a place on one ramp from paper to accent. Surprise is
// −log₂ p in bits: 0 is certain, 1 is one of two, 10 one of a thousand.

/** Surprise at and above this is drawn at the ramp's end. */
export const SURPRISE_CEILING_BITS = 10;

export function surpriseBits(logprob: number): number {
  return Number.isFinite(logprob) ? Math.max(0, -logprob / Math.LN2) : Number.POSITIVE_INFINITY;
}

/** 0 (as expected) to 1 (at the ceiling or above), in steps of a twentieth so that equal tints share one style. */
export function surpriseLevel(bits: number): number {
  const share = Math.min(1, Math.max(0, bits / SURPRISE_CEILING_BITS));
  return Math.round(share * 20) / 20;
}

/** "one in 12", for people who do not think in bits. */
export function formatChance(bits: number): string {
  if (!Number.isFinite(bits)) {
    return "not representable";
  }
  const odds = 2 ** bits;
  if (odds < 1.95) {
    return `${(100 / odds).toFixed(odds < 1.01 ? 1 : 0)} %`;
  }
  return odds < 1e6 ? `one in ${Math.round(odds)}` : `one in ${odds.toExponential(1)}`;
}

/** A token's text with its white space to be seen. */
export function visible(text: string): string {
  return text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
}
