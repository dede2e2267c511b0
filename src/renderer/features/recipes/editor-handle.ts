// The one open editor, for the Problems panel below it: the two live in different panels of the frame.
import type { RecipeProblem } from "#shared/ipc/recipes.contract";

export type RecipeEditorHandle = {
  readonly reveal: (problem: RecipeProblem) => void;
  /** Puts the problem's suggestion in, as an edit that can be undone. */
  readonly applyFix: (problem: RecipeProblem) => void;
};

let current: RecipeEditorHandle | null = null;

export function openEditor(): RecipeEditorHandle | null {
  return current;
}

/** Returns the function that takes it back. */
export function registerEditor(handle: RecipeEditorHandle): () => void {
  current = handle;
  return () => {
    if (current === handle) {
      current = null;
    }
  };
}
