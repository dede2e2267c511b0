// Where the token caches of a run lie. They are found by what they are made from, so nothing has to be written down, and
// one that was deleted is made again.
import path from "node:path";
import { AppError } from "#shared/errors";
import { buildTokenCache } from "../corpus/token-cache.ts";
import { loadTokenizer } from "../tokenizer/load.ts";
import { workspaceOfRun } from "./directory.ts";
import { readRunRecipe, tokenizerFolder } from "./prepare.ts";
import { findsStream } from "./prepare-text.ts";

/** The folders of the training and of the held-out tokens. */
export async function runCaches(
  runDirectory: string,
  options: { readonly workspace?: string } = {},
): Promise<{ readonly train: string; readonly eval: string }> {
  const { recipe } = await readRunRecipe(runDirectory);
  if (await findsStream(recipe)) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${path.basename(runDirectory)} trained from a stream, which keeps tokens shard by shard and has no cache of the whole text to look into.`,
    );
  }
  const tokenizer = await loadTokenizer(tokenizerFolder(runDirectory));
  const cacheRoot = path.join(workspaceOfRun(runDirectory, options.workspace), "cache");
  const { trainDirectory, evalDirectory } = await buildTokenCache({ recipe, tokenizer, cacheRoot });
  return { train: trainDirectory, eval: evalDirectory };
}
