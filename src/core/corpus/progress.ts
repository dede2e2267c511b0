// Progress for whoever watches from another process: at most ten items a second, and the first of every phase.
import type { CorpusProgressItem } from "#shared/ipc/corpora.contract";

const EVERY_MS = 100;

export function coalesced(emit: (item: CorpusProgressItem) => void): (item: CorpusProgressItem) => void {
  let lastAt = Number.NEGATIVE_INFINITY;
  let lastPhase = "";
  return (item) => {
    const now = performance.now();
    if (item.phase !== lastPhase || now - lastAt >= EVERY_MS || item.done === item.total) {
      lastAt = now;
      lastPhase = item.phase;
      emit(item);
    }
  };
}
