// Starts the run of the recipe on screen and goes to it; where a problem stands in the way, goes to that instead.
import { go } from "../../app/router.ts";
import { openEditor } from "./editor-handle.ts";
import { useRecipes } from "./store.ts";

export async function launchAndShow(): Promise<void> {
  const run = await useRecipes.getState().launch();
  if (run !== null) {
    go("runs", run);
    return;
  }
  const { check } = useRecipes.getState();
  const first = check.state === "checked" ? check.problems.find((problem) => problem.severity === "error") : undefined;
  if (first !== undefined) {
    openEditor()?.reveal(first);
  }
}
