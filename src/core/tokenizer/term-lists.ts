// Terms to look at a tokenizer by: those BioMedLM's authors named, and the most frequent names of annotated entities.
import { readFile } from "node:fs/promises";
import { AppError } from "#shared/errors";
import { decodeUtf8 } from "../corpus/utf8.ts";
import type { Mention } from "./entities.ts";

/** Whole in BioMedLM's vocabulary and split by GPT-2's (the model's card and the blog post that introduced it). */
export const BIOMEDLM_TERMS: readonly string[] = [
  "chromatography",
  "cytotoxicity",
  "Immunohistochemistry",
  "photosynthesis",
  "probiotic",
];

export type FrequentName = { readonly name: string; readonly type: string; readonly count: number };

/**
 * The names of the mentions as they are written, most frequent first; equal counts in the order of their first mention.
 * `type` keeps those of one kind of entity.
 */
export function frequentNames(mentions: readonly Mention[], top: number, type?: string): readonly FrequentName[] {
  const found = new Map<string, { name: string; type: string; count: number }>();
  for (const mention of mentions) {
    if (type === undefined || mention.type === type) {
      const name = mention.words.join(" ");
      const known = found.get(name);
      found.set(name, { name, type: known?.type ?? mention.type, count: (known?.count ?? 0) + 1 });
    }
  }
  return [...found.values()].toSorted((a, b) => b.count - a.count).slice(0, top);
}

/** One term a line. */
export async function readTerms(file: string): Promise<readonly string[]> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new AppError("FILE_NOT_FOUND", `Cannot read the terms ${file}; name a text file with one term a line.`, {
      cause,
    });
  });
  const text = decodeUtf8(bytes);
  if (text === null) {
    throw new AppError("CORPUS_NOT_UTF8", `${file} is not UTF-8; convert it to UTF-8.`);
  }
  return text.split(/\r?\n/).filter((line) => line.trim() !== "");
}
