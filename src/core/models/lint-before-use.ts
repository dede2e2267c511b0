// The lint where a model is about to be used: what cannot work ends it, the rest is said.
import { AppError } from "#shared/errors";
import type { NativeModelConfig } from "../engine/addon.ts";
import type { SpecialIds } from "./hugging-face/config-fields.ts";
import { readModelFolder } from "./hugging-face.ts";
import { lintTokenizer } from "./lint.ts";
import { readTokenizerFacts } from "./tokenizer-facts.ts";

/** Sentences worth saying of a model and the tokenizer in a folder. Throws TOKENIZER_MODEL_MISMATCH for an error. */
export async function lintBeforeUse(
  config: NativeModelConfig,
  special: SpecialIds,
  tokenizerFolder: string,
): Promise<readonly string[]> {
  const facts = await readTokenizerFacts(tokenizerFolder);
  const findings = facts === null ? [] : lintTokenizer(config, special, facts);
  const [gravest] = findings;
  if (gravest?.severity === "error") {
    throw new AppError("TOKENIZER_MODEL_MISMATCH", gravest.message, { details: { finding: gravest.code } });
  }
  return findings.filter(({ severity }) => severity === "warning").map(({ message }) => message);
}

/** The same for the folder that a run starts from, with the head and shape that the run gives it. */
export async function lintBase(
  base: { readonly folder: string; readonly config: NativeModelConfig },
  tokenizerFolder: string,
): Promise<readonly string[]> {
  const { special } = await readModelFolder(base.folder, { head: base.config.head });
  return lintBeforeUse(base.config, special, tokenizerFolder);
}
