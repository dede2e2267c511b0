// The tokenizer of a recipe: opened, or trained on the training text alone, so that held-out text stays unseen.
import type { Recipe } from "#shared/domain/recipe";
import type { CancelSignal } from "#shared/ipc/contract";
import { type CorpusNotes, type Document, readDocuments } from "../corpus/documents.ts";
import { isHeldOut } from "../corpus/split.ts";
import type { NativeTokenizer } from "../engine/addon.ts";
import { checkVocabulary } from "../recipe/resolve.ts";
import { loadTokenizer } from "./load.ts";
import { type TokenizerReport, type TrainingProgress, trainTokenizer } from "./train.ts";

type PrepareOptions = {
  readonly workspace?: string | undefined;
  readonly threads?: number;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  readonly onNotes?: ((notes: CorpusNotes) => void) | undefined;
  readonly signal?: CancelSignal | undefined;
};

async function* withoutHeldOut(documents: AsyncIterable<Document>, fraction: number): AsyncGenerator<Document> {
  for await (const document of documents) {
    if (!isHeldOut(document.id, fraction)) {
      yield document;
    }
  }
}

/** `report` is null for a tokenizer that was not trained here. */
export async function prepareTokenizer(
  recipe: Recipe,
  options: PrepareOptions = {},
): Promise<{ readonly tokenizer: NativeTokenizer; readonly report: TokenizerReport | null }> {
  const { onProgress } = options;
  if (recipe.tokenizer.path !== undefined) {
    const tokenizer = await loadTokenizer(recipe.tokenizer.path, { workspace: options.workspace });
    checkVocabulary(recipe, tokenizer.vocabSize);
    return { tokenizer, report: null };
  }
  const train = recipe.tokenizer.train;
  if (train === undefined) {
    throw new Error("A checked recipe has a tokenizer.");
  }
  const documents = readDocuments(recipe.data.train, {
    signal: options.signal,
    onProgress: ({ bytesRead, bytesTotal }) => onProgress?.({ phase: "reading", done: bytesRead, total: bytesTotal }),
    onNotes: options.onNotes,
  });
  const trained = await trainTokenizer({
    type: train.type,
    vocabSize: train.vocab_size,
    minFrequency: train.min_frequency,
    isMasked: recipe.objective.name !== "clm",
    lowercase: train.lowercase,
    protectedWords: train.protect,
    documents: typeof recipe.data.eval === "string" ? documents : withoutHeldOut(documents, recipe.data.eval.fraction),
    onProgress,
    signal: options.signal,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  });
  checkVocabulary(recipe, trained.tokenizer.vocabSize);
  return trained;
}
