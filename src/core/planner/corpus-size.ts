// How many tokens a corpus may have, from the sizes of its files alone: good enough to plan by before it is tokenized.
import { parseDuration, type Recipe } from "#shared/domain/recipe";
import { isAddress } from "#shared/domain/recipe-stream";
import { listCorpusFiles } from "../corpus/files.ts";

export const BYTES_PER_TOKEN = 4;
/** Abstracts and articles packed by gzip. */
const GZIP_RATIO = 3.1;

/** A duration in passes cannot be counted without the text. */
export function needsText(recipe: Pick<Recipe, "max_duration">): boolean {
  return parseDuration(recipe.max_duration).unit === "ep";
}

async function bytesOf(source: Recipe["data"]["train"]): Promise<number> {
  if (typeof source === "string" && isAddress(source)) {
    return 0; // its size is the server's to say, and it is asked for when it is needed
  }
  const { files } = await listCorpusFiles(source);
  return files.reduce((sum, file) => sum + file.sizeBytes * (file.format === "jsonl.gz" ? GZIP_RATIO : 1), 0);
}

/** Tokens of the held-out text, where it is not a share of the training text. */
export async function estimateHeldOut({ eval: held }: Pick<Recipe["data"], "eval">): Promise<number> {
  return typeof held === "string" ? Math.round((await bytesOf(held)) / BYTES_PER_TOKEN) : 0;
}

export async function estimateTokens(data: Recipe["data"]): Promise<{
  readonly trainTokens: { readonly value: number; readonly how: string };
  readonly evalTokens: number;
}> {
  const bytes = await bytesOf(data.train);
  const heldOutShare = typeof data.eval === "string" ? 0 : data.eval.fraction;
  const evalBytes = typeof data.eval === "string" ? await bytesOf(data.eval) : bytes * heldOutShare;
  const value = Math.round((bytes * (1 - heldOutShare)) / BYTES_PER_TOKEN);
  return {
    trainTokens: {
      value,
      how: `The text is not tokenized yet: ${(bytes / 1e6).toPrecision(3)} MB${heldOutShare > 0 ? ` without ${Math.round(heldOutShare * 100)} % held out` : ""} at about ${BYTES_PER_TOKEN} bytes a token are ${value} tokens.`,
    },
    evalTokens: Math.round(evalBytes / BYTES_PER_TOKEN),
  };
}
