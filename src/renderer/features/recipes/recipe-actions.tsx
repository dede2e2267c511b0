// Top right of a recipe: saving, and the one accent button with its forecast, or the reason it waits.
import { useState } from "react";
import { go, type Route } from "../../app/router.ts";
import { modifierKey } from "../../lib/keys.ts";
import { Button } from "../../ui/button.tsx";
import { launchAndShow } from "./launch.ts";
import { launchState } from "./launch-state.ts";
import { forecastSentence } from "./plan-rows.ts";
import { SaveAsDialog } from "./save-as-dialog.tsx";
import { isUnsaved, useRecipes } from "./store.ts";

export function RecipeActions({ route }: { readonly route: Route }) {
  const open = useRecipes((state) => state.open);
  const text = useRecipes((state) => state.text);
  const check = useRecipes((state) => state.check);
  const isStarting = useRecipes((state) => state.isStarting);
  const unsaved = useRecipes(isUnsaved);
  const save = useRecipes((state) => state.save);
  const [isNaming, setIsNaming] = useState(false);
  if (open === null || open.source !== route.rest[0]) {
    return null;
  }
  const { label, disabledReason } = launchState(text, check, isStarting);
  const forecast = check.state === "checked" && check.forecast !== null ? forecastSentence(check.forecast) : null;
  return (
    <div className="recipe-actions">
      <span id="launch-note" className="recipe-actions-note">
        {disabledReason ?? forecast}
      </span>
      {open.isPreset ? null : (
        <Button disabled={!unsaved} onClick={() => void save()}>
          Save
        </Button>
      )}
      <Button onClick={() => setIsNaming(true)}>Save as…</Button>
      <Button
        variant="primary"
        disabled={disabledReason !== null}
        aria-describedby="launch-note"
        onClick={() => void launchAndShow()}
      >
        {label} <kbd>{modifierKey}⏎</kbd>
      </Button>
      {isNaming ? (
        <SaveAsDialog
          onClose={() => setIsNaming(false)}
          onSaved={(file) => {
            setIsNaming(false);
            go("recipes", file);
          }}
        />
      ) : null}
    </div>
  );
}
