// Starts the run of the recipe on screen and goes to it.
import { go } from "../../app/router.ts";
import { useRecipes } from "./store.ts";

export async function launchAndShow(): Promise<void> {
  const run = await useRecipes.getState().launch();
  if (run !== null) {
    go("runs", run);
  }
}
