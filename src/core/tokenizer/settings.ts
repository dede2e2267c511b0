// What lies beside a tokenizer's vocabulary and changes what it does: tokenizer_config.json and special_tokens_map.json.
// A file that is absent or no JSON says nothing.
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { NativeTokenRole, NativeTokenRoles } from "../engine/addon.ts";

export type TokenizerSettings = {
  readonly roles: NativeTokenRoles;
  readonly lowercase?: boolean;
  readonly stripAccents?: boolean;
  readonly handleChineseChars?: boolean;
  readonly moses?: boolean;
};

type Json = Readonly<Record<string, unknown>>;

const roleNames: readonly NativeTokenRole[] = ["pad", "cls", "sep", "mask", "unk", "bos", "eos"];

async function readObject(file: string): Promise<Json> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return typeof value === "object" && value !== null ? (value as Json) : {};
  } catch {
    return {};
  }
}

/** A token is written as its text, or as an object with its text as content. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") {
    return value;
  }
  const content = typeof value === "object" && value !== null ? (value as Json)["content"] : undefined;
  return typeof content === "string" ? content : undefined;
}

/** tokenizer_config.json goes before special_tokens_map.json, as in Transformers. */
export async function readTokenizerSettings(folder: string): Promise<TokenizerSettings> {
  const config = await readObject(path.join(folder, "tokenizer_config.json"));
  const map = await readObject(path.join(folder, "special_tokens_map.json"));
  const roles: Partial<Record<NativeTokenRole, string>> = {};
  for (const role of roleNames) {
    const text = textOf(config[`${role}_token`]) ?? textOf(map[`${role}_token`]);
    if (text !== undefined) {
      roles[role] = text;
    }
  }
  const flag = (name: string): boolean | undefined => {
    const value = config[name];
    return typeof value === "boolean" ? value : undefined;
  };
  const lowercase = flag("do_lower_case");
  const stripAccents = flag("strip_accents");
  const handleChineseChars = flag("tokenize_chinese_chars");
  // What fairseq calls --tokenizer: what cut the text into words before fastBPE.
  const wordTokenizer = config["tokenizer"];
  return {
    roles,
    ...(lowercase === undefined ? {} : { lowercase }),
    ...(stripAccents === undefined ? {} : { stripAccents }),
    ...(handleChineseChars === undefined ? {} : { handleChineseChars }),
    ...(wordTokenizer === "moses" || wordTokenizer === "space" ? { moses: wordTokenizer === "moses" } : {}),
  };
}
