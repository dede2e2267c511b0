// One recipe: its name and how it differs from a preset, and its text.
import { lazy, Suspense, useDeferredValue, useEffect, useMemo } from "react";
import { go } from "../../app/router.ts";
import { useSettings } from "../../app/settings-store.ts";
import { Button } from "../../ui/button.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { launchAndShow } from "./launch.ts";
import { changedLineCount, lineChanges } from "./line-changes.ts";
import { forecastSentence } from "./plan-rows.ts";
import { isUnsaved, useRecipes } from "./store.ts";

/** Monaco is by far the largest thing in the window; only who opens a recipe waits for it. */
const RecipeEditor = lazy(() => import("./editor/recipe-editor.tsx"));

const noProblems = [] as const;

export function RecipePage({ source }: { readonly source: string }) {
  const open = useRecipes((state) => state.open);
  const openError = useRecipes((state) => state.openError);
  const openRecipe = useRecipes((state) => state.openRecipe);
  const keepDraftNow = useRecipes((state) => state.keepDraftNow);

  useEffect(() => {
    if (useRecipes.getState().open?.source !== source) {
      void openRecipe(source);
    }
  }, [source, openRecipe]);

  useEffect(() => {
    const keep = () => void keepDraftNow();
    window.addEventListener("pagehide", keep);
    return () => {
      window.removeEventListener("pagehide", keep);
      keep();
    };
  }, [keepDraftNow]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // Inside the editor, Monaco's own binding does it.
      const isInEditor = event.target instanceof Element && event.target.closest(".monaco-editor") !== null;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !isInEditor) {
        event.preventDefault();
        void launchAndShow();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);

  if (openError?.source === source) {
    return (
      <ErrorState
        title="The recipe could not be opened"
        message={openError.message}
        actions={
          <>
            <Button onClick={() => void openRecipe(source)}>Try again</Button>
            <Button onClick={() => go("recipes")}>All recipes</Button>
          </>
        }
      />
    );
  }
  return open?.source === source ? <OpenRecipePage /> : <p className="state-note">Opening the recipe…</p>;
}

function OpenRecipePage() {
  const open = useRecipes((state) => state.open);
  const text = useRecipes((state) => state.text);
  const check = useRecipes((state) => state.check);
  const base = useRecipes((state) => state.base);
  const jsonSchema = useRecipes((state) => state.jsonSchema);
  const setText = useRecipes((state) => state.setText);
  const save = useRecipes((state) => state.save);
  const isDark = useSettings((state) => state.isDark);
  const deferredText = useDeferredValue(text);
  const changes = useMemo(() => (base === null ? [] : lineChanges(base.text, deferredText)), [base, deferredText]);
  if (open === null) {
    return null;
  }
  return (
    <div className="page recipe">
      <RecipeHead changedLines={changedLineCount(changes)} />
      <Notices />
      <div className="recipe-text">
        <Suspense fallback={<p className="state-note">Opening the editor…</p>}>
          <RecipeEditor
            key={open.revision}
            initialText={text}
            jsonSchema={jsonSchema}
            problems={check.state === "checked" ? check.problems : noProblems}
            changes={changes}
            baseName={base?.name ?? null}
            isDark={isDark}
            onChange={setText}
            onLaunch={() => void launchAndShow()}
            onSave={() => void save()}
          />
        </Suspense>
      </div>
    </div>
  );
}

function RecipeHead({ changedLines }: { readonly changedLines: number }) {
  const open = useRecipes((state) => state.open);
  const base = useRecipes((state) => state.base);
  const list = useRecipes((state) => state.list);
  const unsaved = useRecipes(isUnsaved);
  const forecast = useRecipes((state) =>
    state.check.state === "checked" && state.check.forecast !== null ? forecastSentence(state.check.forecast) : null,
  );
  const compareWith = useRecipes((state) => state.compareWith);
  if (open === null) {
    return null;
  }
  const changed =
    changedLines === 0
      ? "no line differs from"
      : `${changedLines} ${changedLines === 1 ? "line differs" : "lines differ"} from`;
  return (
    <div className="recipe-head">
      <h1>{open.name}</h1>
      <span className="muted">{open.isPreset ? "preset" : "recipe"}</span>
      {forecast === null ? null : <span className="recipe-forecast">{forecast}</span>}
      {unsaved ? <span className="recipe-unsaved">not saved, kept as a draft</span> : null}
      <label className="recipe-base">
        {base === null ? "compared with" : changed}{" "}
        <select
          className="recipe-base-select"
          value={base?.name ?? ""}
          onChange={(event) => void compareWith(event.currentTarget.value === "" ? null : event.currentTarget.value)}
        >
          <option value="">no preset</option>
          {(list?.presets ?? []).map((preset) => (
            <option key={preset.name} value={preset.name}>
              {preset.name}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

function Notices() {
  const open = useRecipes((state) => state.open);
  const actionError = useRecipes((state) => state.actionError);
  const discardDraft = useRecipes((state) => state.discardDraft);
  const dismissRestored = useRecipes((state) => state.dismissRestored);
  const dismissError = useRecipes((state) => state.dismissError);
  return (
    <>
      {open?.isDraftRestored ? (
        <div className="banner" role="status">
          <p>Unsaved text of {open.name} was restored.</p>
          <Button onClick={dismissRestored}>Keep it</Button>
          <Button onClick={() => void discardDraft()}>Discard it</Button>
        </div>
      ) : null}
      {actionError === null ? null : (
        <div className="banner banner-bad" role="alert">
          <p>{actionError}</p>
          <Button onClick={dismissError}>Close</Button>
        </div>
      )}
    </>
  );
}
