// The texts that tokenizers are measured on: real ones, one document a line, and those made to be hard: long runs
// without a space, which trip tokenizers whose time grows faster than the text.
import { readDocuments } from "../corpus/documents.ts";

/** One document a line, line end included: the only form that every peer's trainer reads. */
export async function readLines(source: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const document of readDocuments([source])) {
    lines.push(`${document.text.replaceAll(/\s*[\r\n]+\s*/g, " ")}\n`);
  }
  return lines;
}

export function totalBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

/** The first texts of about so many bytes, at least one. */
export function takeBytes(texts: readonly string[], limit: number): readonly string[] {
  let bytes = 0;
  const end = texts.findIndex((text) => {
    bytes += Buffer.byteLength(text);
    return bytes > limit;
  });
  return end === -1 ? texts : texts.slice(0, Math.max(end, 1));
}

/** Bytes that look random and are the same every time (a linear congruence, its upper bits). */
function* pseudoRandomBytes(): Generator<number, never> {
  let state = 1;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 24;
  }
}

function repeatTo(text: string, length: number): string {
  return text.repeat(Math.ceil(length / text.length)).slice(0, length);
}

export type HardText = {
  readonly name: string;
  /** Of so many characters of one byte each; a longer one begins as a shorter one does. */
  readonly make: (length: number) => string;
};

export function hardTexts(lines: readonly string[]): readonly HardText[] {
  // Code points beyond ASCII would make the length differ from the bytes.
  const unspaced = lines.join("").replaceAll(/[^!-~]+/g, "");
  const fromRandomBytes = (length: number, pick: (byte: number) => string): string => {
    const bytes = pseudoRandomBytes();
    return Array.from({ length }, () => pick(bytes.next().value)).join("");
  };
  return [
    { name: "text without a space", make: (length) => repeatTo(unspaced, length) },
    { name: "DNA", make: (length) => fromRandomBytes(length, (byte) => "ACGT".charAt(byte & 3)) },
    {
      name: "base64",
      make: (length) =>
        Buffer.from(
          Uint8Array.from(
            { length },
            (
              (bytes) => () =>
                bytes.next().value
            )(pseudoRandomBytes()),
          ),
        )
          .toString("base64")
          .slice(0, length),
    },
    { name: "one letter over and over", make: (length) => "a".repeat(length) },
    { name: "spaces only", make: (length) => " ".repeat(length) },
  ];
}
