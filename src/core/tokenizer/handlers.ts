// The tokenizers.* area. Whoever hosts these handlers does the native work: in the window that is the engine host, so
// that a crash is an error there; elsewhere this process.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { Handlers } from "#shared/ipc/contract";
import type { Comparison, tokenizersContract, WordExplanation } from "#shared/ipc/tokenizers.contract";
import type { CorpusProgress } from "../corpus/documents.ts";
import type { NativeTokenizer } from "../engine/addon.ts";
import { explainWord } from "./explain-word.ts";
import { forecastTraining } from "./forecast.ts";
import { compareTokenizers, explainToken, inspectText } from "./inspect.ts";
import { describeTokenizer, fileOfPlace, findTokenizer, loadTokenizer, type TokenizerInfo } from "./load.ts";
import { vocabularySavings } from "./savings.ts";
import { saveTokenizer, trainTokenizer } from "./train.ts";
import { searchVocabulary, vocabularyOverlap } from "./vocabulary.ts";

const OPEN_AT_ONCE = 8;
const PROGRESS_EVERY_MS = 100;

/** Keeps the last used tokenizers open; one whose file has changed is opened again. */
class OpenTokenizers {
  readonly #open = new Map<string, { readonly stamp: string; readonly tokenizer: Promise<NativeTokenizer> }>();

  async get(source: string, workspace: string): Promise<NativeTokenizer> {
    const place = await findTokenizer(source, { workspace });
    const file = fileOfPlace(place);
    const found = file === null ? null : await stat(file);
    const stamp = found === null ? "" : `${found.mtimeMs}:${found.size}`;
    const key = file ?? "gpt2";
    const known = this.#open.get(key);
    const tokenizer = known?.stamp === stamp ? known.tokenizer : loadTokenizer(source, { workspace });
    this.#open.delete(key);
    this.#open.set(key, { stamp, tokenizer });
    const oldest = this.#open.keys().next().value;
    if (this.#open.size > OPEN_AT_ONCE && oldest !== undefined) {
      this.#open.delete(oldest);
    }
    tokenizer.catch(() => this.#open.delete(key));
    return tokenizer;
  }
}

/** Passes on what was read, ten times a second. */
function coalesced(emit: (item: { bytesRead: number; bytesTotal: number }) => void) {
  let lastAt = 0;
  return (progress: CorpusProgress) => {
    const now = performance.now();
    if (now - lastAt >= PROGRESS_EVERY_MS) {
      lastAt = now;
      emit({ bytesRead: progress.bytesRead, bytesTotal: progress.bytesTotal });
    }
  };
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => path.join(folder, entry.name))
    .toSorted();
}

/** Newest run first; a folder without a whole tokenizer is left out. */
async function listTokenizers(workspace: string): Promise<TokenizerInfo[]> {
  const own = await foldersIn(path.join(workspace, "tokenizers"));
  const runs = await foldersIn(path.join(workspace, "runs"));
  const sources = [...own, ...runs.toReversed().map((run) => path.join(run, "tokenizer"))];
  const found = await Promise.all(sources.map((source) => describeTokenizer(source).catch(() => null)));
  return [...found.filter((info) => info !== null), await describeTokenizer("gpt2")];
}

export function createTokenizerHandlers(options: {
  readonly workspace: () => string;
}): Handlers<typeof tokenizersContract> {
  const open = new OpenTokenizers();
  return {
    requests: {
      "tokenizers.forecast": (request) => forecastTraining(request),

      "tokenizers.list": () => listTokenizers(options.workspace()),

      "tokenizers.inspect": async ({ tokenizer: source, text }) => {
        const tokenizer = await open.get(source, options.workspace());
        const pieces = [...inspectText(tokenizer, text)];
        return { pieces, textBytes: Buffer.byteLength(text), vocabSize: tokenizer.vocabSize };
      },

      "tokenizers.explain": async ({ tokenizer: source, id }) => {
        const history = explainToken(await open.get(source, options.workspace()), id);
        return { ...history, bytes: [...history.bytes], merges: [...history.merges] };
      },

      "tokenizers.explain-word": async ({ tokenizer: source, word }) =>
        // as: the same data, which the contract spells without `readonly`.
        explainWord(await open.get(source, options.workspace()), word) as WordExplanation | null,

      "tokenizers.vocabulary": async ({ tokenizer: source, search, limit }) => {
        const { entries, total } = searchVocabulary(await open.get(source, options.workspace()), search, limit);
        return { total, entries: [...entries] };
      },

      "tokenizers.overlap": async ({ first, second, ignoreMarks }) => {
        const workspace = options.workspace();
        const overlap = vocabularyOverlap(await open.get(first, workspace), await open.get(second, workspace), {
          ignoreMarks,
        });
        const [one, two] = overlap.sizes;
        return {
          ...overlap,
          sizes: [one, two],
          onlyFirst: [...overlap.onlyFirst],
          onlySecond: [...overlap.onlySecond],
        };
      },
    },
    streams: {
      "tokenizers.compare": async (request, emit, { signal }) => {
        const comparison = await compareTokenizers({
          ...request,
          workspace: options.workspace(),
          signal,
          onProgress: coalesced(emit),
        });
        // as: the same data, which the contract spells without `readonly`.
        return comparison as Comparison;
      },

      "tokenizers.savings": async ({ recipe, ...request }, emit, { signal }) => {
        const savings = await vocabularySavings({
          ...request,
          source: recipe,
          workspace: options.workspace(),
          signal,
          onProgress: coalesced(emit),
        });
        return { ...savings, rows: [...savings.rows] };
      },

      "tokenizers.train": async ({ name, ...request }, emit, { signal }) => {
        if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) || name === "gpt2") {
          throw new AppError(
            "BAD_ARGUMENT",
            `"${name}" cannot name a tokenizer; use up to 64 letters, digits, dots, dashes and underscores.`,
          );
        }
        const directory = path.join(options.workspace(), "tokenizers", name);
        if ((await readdir(directory).catch((): string[] => [])).length > 0) {
          throw new AppError(
            "BAD_ARGUMENT",
            `There is a tokenizer ${name} already, in ${directory}; choose another name.`,
          );
        }
        let lastAt = 0;
        let lastPhase = "";
        const { tokenizer } = await trainTokenizer({
          ...request,
          // As a tokenizer for any objective: a masked one finds its tokens, the others never meet them.
          isMasked: request.type !== "byte-bpe",
          signal,
          onProgress: (progress) => {
            const now = performance.now();
            if (progress.phase !== lastPhase || now - lastAt >= PROGRESS_EVERY_MS || progress.done === progress.total) {
              lastAt = now;
              lastPhase = progress.phase;
              emit({ ...progress });
            }
          },
        });
        emit({ phase: "saving", done: 0, total: null });
        await saveTokenizer(tokenizer, directory);
        return describeTokenizer(directory);
      },
    },
  };
}
