// Documents in batches of about a megabyte of text: what is handed to the engine at once, and so what a pass over a
// corpus of any size holds in memory.
const BATCH_CHARACTERS = 1_000_000;
const BATCH_DOCUMENTS = 4096;

export async function* inBatches<T extends { readonly text: string }>(
  documents: AsyncIterable<T>,
): AsyncGenerator<readonly T[]> {
  let batch: T[] = [];
  let characters = 0;
  for await (const document of documents) {
    batch.push(document);
    characters += document.text.length;
    if (characters >= BATCH_CHARACTERS || batch.length >= BATCH_DOCUMENTS) {
      yield batch;
      batch = [];
      characters = 0;
    }
  }
  if (batch.length > 0) {
    yield batch;
  }
}
