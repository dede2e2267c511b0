// One tokenizer in another's file format. A format that cannot say all that the tokenizer does is refused by the engine,
// with what it lacks; nothing is written then.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { assertNever } from "#shared/errors";
import type { NativeTokenizer, NativeTokenRole } from "../engine/addon.ts";

export const tokenizerFormats = ["tokenizer.json", "vocab.txt", "vocab+merges", "sentencepiece"] as const;
export type TokenizerFormat = (typeof tokenizerFormats)[number];

const roles: readonly NativeTokenRole[] = ["pad", "cls", "sep", "mask", "unk", "bos", "eos"];

/** What Transformers reads beside vocab.txt, which itself says nothing of lower case. */
async function writeBertSettings(tokenizer: NativeTokenizer, directory: string): Promise<string> {
  const special = roles.flatMap((role) => {
    const id = tokenizer.roleId(role);
    return id === null || role === "bos" || role === "eos" ? [] : [[`${role}_token`, tokenizer.piece(id)] as const];
  });
  const settings = {
    tokenizer_class: "BertTokenizer",
    do_lower_case: tokenizer.lowercases,
    ...Object.fromEntries(special),
  };
  const file = path.join(directory, "tokenizer_config.json");
  await writeFile(file, `${JSON.stringify(settings, null, 2)}\n`);
  return file;
}

/** The files written. */
export async function convertTokenizer(
  tokenizer: NativeTokenizer,
  format: TokenizerFormat,
  directory: string,
): Promise<readonly string[]> {
  await mkdir(directory, { recursive: true });
  const at = (name: string): string => path.join(directory, name);
  switch (format) {
    case "tokenizer.json":
      await tokenizer.saveTokenizerJson(at("tokenizer.json"));
      return [at("tokenizer.json")];
    case "vocab.txt":
      await tokenizer.saveVocabTxt(at("vocab.txt"));
      return [at("vocab.txt"), await writeBertSettings(tokenizer, directory)];
    case "vocab+merges":
      await tokenizer.saveVocabAndMerges(directory);
      return [at("vocab.json"), at("merges.txt")];
    case "sentencepiece":
      await tokenizer.saveSentencePiece(at("tokenizer.model"));
      return [at("tokenizer.model")];
    default:
      return assertNever(format);
  }
}
