// Ends a text where one of several strings begins. What could still become such a string is held back, so that what was
// shown never has to be taken away again.

export class StopText {
  readonly #stops: readonly string[];
  #held = "";
  #isEnded = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Whether a stop string was met; nothing comes after it. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Takes the next piece and returns what may be shown of it and of what was held back. */
  push(piece: string): string {
    if (this.#isEnded) {
      return "";
    }
    const text = this.#held + piece;
    const ends = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (ends.length > 0) {
      this.#isEnded = true;
      this.#held = "";
      return text.slice(0, Math.min(...ends));
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => longestBeginningAtEnd(text, stop)));
    this.#held = text.slice(text.length - keep);
    return text.slice(0, text.length - keep);
  }

  /** What is left when no more pieces come. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** The length of the longest end of `text` that `stop` begins with. */
function longestBeginningAtEnd(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length -= 1) {
    if (text.endsWith(stop.slice(0, length))) {
      return length;
    }
  }
  return 0;
}
