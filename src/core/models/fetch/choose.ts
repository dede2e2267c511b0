// Which files of a repository make up a model with its tokenizer: weights in one form only, and nothing that is not read.
import { AppError } from "#shared/errors";
import { globMatcher } from "../../corpus/glob.ts";
import type { Repository, RepositoryFile } from "./hub.ts";

const smallFiles: ReadonlySet<string> = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
  "adapter_config.json",
  "adapter_model.safetensors",
  "LICENSE",
  "LICENSE.txt",
  "LICENSE.md",
]);

/** The forms weights come in, the preferred first. safetensors can execute nothing, and is read without a copy. */
const weightForms: readonly (readonly RegExp[])[] = [
  [/^model\.safetensors$/],
  [/^model\.safetensors\.index\.json$/, /^model-\d+-of-\d+\.safetensors$/],
  [/^pytorch_model\.bin$/],
  [/^pytorch_model\.bin\.index\.json$/, /^pytorch_model-\d+-of-\d+\.bin$/],
];

function weightFiles(files: readonly RepositoryFile[]): readonly RepositoryFile[] {
  for (const form of weightForms) {
    const found = form.map((pattern) => files.filter(({ path }) => pattern.test(path)));
    if (found.every((each) => each.length > 0)) {
      return found.flat();
    }
  }
  return [];
}

/** The files to download: those the patterns name, else the model and its tokenizer. */
export function chooseFiles(repository: Repository, patterns: readonly string[]): readonly RepositoryFile[] {
  const { files, id } = repository;
  if (patterns.length > 0) {
    const matchers = patterns.map((pattern) => ({ pattern, matches: globMatcher(pattern), found: false }));
    const chosen = files.filter(({ path }) => {
      const matching = matchers.filter((each) => each.matches(path) || each.pattern === path);
      for (const each of matching) {
        each.found = true;
      }
      return matching.length > 0;
    });
    const empty = matchers.find((each) => !each.found);
    if (empty !== undefined) {
      const shown = files.slice(0, 8).map(({ path }) => path);
      const more = files.length > shown.length ? `, and ${files.length - shown.length} more` : "";
      throw new AppError(
        "FETCH_NOT_FOUND",
        `${id.name} has no file that ${empty.pattern} names; it has ${shown.join(", ")}${more}.`,
      );
    }
    return chosen;
  }
  const chosen = [...files.filter(({ path }) => smallFiles.has(path)), ...weightFiles(files)];
  if (chosen.length === 0) {
    throw new AppError(
      "FETCH_NOT_FOUND",
      `${id.name} holds neither a model nor a tokenizer under the usual names; name its files with --files.`,
    );
  }
  return chosen;
}
