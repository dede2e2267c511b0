// Recipes for the shell: what is written down before it is trained.
import { FileCode2 } from "lucide-react";
import type { Command, Feature } from "../../app/feature.ts";
import { go, type Route } from "../../app/router.ts";
import { PlanPanel } from "./plan-panel.tsx";
import { ProblemsPanel } from "./problems-panel.tsx";
import { RecipeActions } from "./recipe-actions.tsx";
import { RecipesMain } from "./recipes-main.tsx";
import { nameOfSource, presetSource, useRecipes } from "./store.ts";

const isOneRecipe = (route: Route): boolean => route.rest[0] !== undefined && route.rest[0] !== "new";

function commands(): readonly Command[] {
  const { list, load } = useRecipes.getState();
  if (list === null) {
    // Found the next time the palette opens.
    void load();
    return [];
  }
  const sources = [...list.files.map((file) => file.file), ...list.presets.map((preset) => presetSource(preset.name))];
  return sources.map((source) => ({
    id: `recipe-${source}`,
    title: `Open recipe ${nameOfSource(source, list)}`,
    keywords: source.startsWith("preset:") ? "preset" : "file",
    run: () => go("recipes", source),
  }));
}

export const recipesFeature: Feature = {
  id: "recipes",
  title: "Recipes",
  icon: FileCode2,
  Main: RecipesMain,
  Details: PlanPanel,
  Bottom: ProblemsPanel,
  Actions: RecipeActions,
  useCrumbs: (route) => {
    const list = useRecipes((state) => state.list);
    const [source] = route.rest;
    return source === undefined || source === "new" ? [] : [{ label: nameOfSource(source, list) }];
  },
  commands,
  hasDetails: isOneRecipe,
  hasBottom: isOneRecipe,
};
