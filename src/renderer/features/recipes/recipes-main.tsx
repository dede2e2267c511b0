// The Recipes view: the list, or one recipe; and the way from a folder of articles to a recipe of its own.
import "../../ui/forms.css";
import "./recipes.css";
import { useEffect } from "react";
import { go, type Route, routeHash } from "../../app/router.ts";
import { Button } from "../../ui/button.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { RecipeList } from "./recipe-list.tsx";
import { RecipePage } from "./recipe-page.tsx";
import { useRecipes } from "./store.ts";

export function RecipesMain({ route }: { readonly route: Route }) {
  const [first, folder] = route.rest;
  if (first === undefined) {
    return <RecipeList />;
  }
  return first === "new" && folder !== undefined ? <NewRecipe folder={folder} /> : <RecipePage source={first} />;
}

/** Folders whose recipe is being made: an effect may run twice, and must not make two. */
const underway = new Set<string>();

function NewRecipe({ folder }: { readonly folder: string }) {
  const newFromFolder = useRecipes((state) => state.newFromFolder);
  const error = useRecipes((state) => state.actionError);
  useEffect(() => {
    if (underway.has(folder)) {
      return;
    }
    underway.add(folder);
    void newFromFolder(folder).then((file) => {
      underway.delete(folder);
      if (file !== null) {
        // Replaced, so that Back does not make another one.
        window.location.replace(routeHash("recipes", file));
      }
    });
  }, [folder, newFromFolder]);
  return error === null ? (
    <p className="state-note">Making a recipe for {folder}…</p>
  ) : (
    <ErrorState
      title="The recipe could not be made"
      message={error}
      actions={<Button onClick={() => go("recipes")}>All recipes</Button>}
    />
  );
}
