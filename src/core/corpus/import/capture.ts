// The texts of elements while a file streams by: which elements are open, and the text inside those that are wanted. A
// text that is wanted keeps the text of the elements inside it, as itertext does.

const MAX_RECORD_CHARACTERS = 64 * 1024 * 1024;

export class ElementPath {
  readonly #names: string[] = [];
  #captureDepth = 0;
  #pieces: string[] = [];
  #characters = 0;
  readonly #refuse: (reason: string) => Error;

  /** `refuse` makes the error that names the place in the file. */
  constructor(refuse: (reason: string) => Error) {
    this.#refuse = refuse;
  }

  /** What one record may hold is counted from here. */
  beginRecord(): void {
    this.#characters = 0;
  }

  get depth(): number {
    return this.#names.length;
  }

  /** The element around the innermost one is 1, around that 2. */
  outer(levels: number): string {
    return this.#names[this.#names.length - 1 - levels] ?? "";
  }

  open(name: string): void {
    this.#names.push(name);
  }

  /** Keeps all text until the innermost element closes. Within another capture nothing changes. */
  capture(): void {
    if (this.#captureDepth === 0) {
      this.#captureDepth = this.#names.length;
      this.#pieces = [];
    }
  }

  get isCapturing(): boolean {
    return this.#captureDepth > 0;
  }

  text(value: string): void {
    if (this.#captureDepth > 0) {
      this.#characters += value.length;
      if (this.#characters > MAX_RECORD_CHARACTERS) {
        throw this.#refuse(`one record holds more than ${MAX_RECORD_CHARACTERS / 1024 / 1024} million characters`);
      }
      this.#pieces.push(value);
    }
  }

  /** Closes the innermost element; its text where it was the one captured, else null. */
  close(): string | null {
    const isDone = this.#captureDepth === this.#names.length && this.#captureDepth > 0;
    this.#names.pop();
    if (!isDone) {
      return null;
    }
    this.#captureDepth = 0;
    return this.#pieces.join("");
  }
}
