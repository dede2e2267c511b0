// Annotated entities of an IOB2 file, as word lists: what the entity break rate is counted over.
import { readFile } from "node:fs/promises";
import { AppError } from "#shared/errors";
import { decodeUtf8 } from "../corpus/utf8.ts";

export type Mention = { readonly type: string; readonly words: readonly string[] };

/** Lines are `word … tag`, separated by tabs or spaces; the first column is the word and the last the tag. */
export function parseMentions(text: string, file: string): readonly Mention[] {
  const mentions: { type: string; words: string[] }[] = [];
  let current: { type: string; words: string[] } | null = null;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const columns = line.split(/[\t ]+/).filter((column) => column !== "");
    const word = columns[0];
    const tag = columns.at(-1);
    if (word === undefined || tag === undefined || word === "-DOCSTART-") {
      current = null;
      continue;
    }
    const match = /^(?:(O)|([BI])-(.+))$/.exec(tag);
    if (columns.length < 2 || match === null) {
      throw new AppError(
        "CORPUS_RECORD_INVALID",
        `${file}:${index + 1}: "${line.slice(0, 60)}" is no IOB2 line; write the word, a tab, and O, B-type or I-type.`,
      );
    }
    const type = match[3] ?? "";
    if (match[1] === "O") {
      current = null;
    } else if (match[2] === "I" && current !== null && current.type === type) {
      current.words.push(word);
    } else {
      // An I- without its B- begins a mention, as readers of IOB1 files expect.
      current = { type, words: [word] };
      mentions.push(current);
    }
  }
  return mentions;
}

export async function readMentions(file: string): Promise<readonly Mention[]> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new AppError("CORPUS_NOT_FOUND", `Cannot read ${file}; check the path.`, { cause });
  });
  const text = decodeUtf8(bytes);
  if (text === null) {
    throw new AppError("CORPUS_NOT_UTF8", `${file} is not UTF-8; convert it to UTF-8.`);
  }
  const mentions = parseMentions(text, file);
  if (mentions.length === 0) {
    throw new AppError("CORPUS_EMPTY", `${file} holds no annotated entity; name a file with B- and I- tags.`);
  }
  return mentions;
}
