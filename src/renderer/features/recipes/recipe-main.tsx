// The recipe's middle: its name and where it stands, the text, and the problems below.
import { lazy, type Ref, Suspense, useDeferredValue, useMemo } from "react";
import { Button } from "../../ui/button.tsx";
import type { RecipeEditorHandle } from "./editor/recipe-editor.tsx";
import { changedLineCount, lineChanges } from "./line-changes.ts";
import { ProblemsPanel } from "./problems-panel.tsx";
import { isUnsaved, useRecipes } from "./store.ts";

/** Monaco is by far the largest thing in the window; only who opens a recipe waits for it. */
const RecipeEditor = lazy(() => import("./editor/recipe-editor.tsx"));

const noProblems = [] as const;

type RecipeMainProps = {
  readonly editorRef: Ref<RecipeEditorHandle> & { readonly current: RecipeEditorHandle | null };
  readonly isDark: boolean;
  readonly onLaunch: () => void;
  readonly onSave: () => void;
};

export function RecipeMain({ editorRef, isDark, onLaunch, onSave }: RecipeMainProps) {
  const open = useRecipes((state) => state.open);
  const text = useRecipes((state) => state.text);
  const check = useRecipes((state) => state.check);
  const base = useRecipes((state) => state.base);
  const jsonSchema = useRecipes((state) => state.jsonSchema);
  const setText = useRecipes((state) => state.setText);
  const deferredText = useDeferredValue(text);
  const changes = useMemo(() => (base === null ? [] : lineChanges(base.text, deferredText)), [base, deferredText]);
  if (open === null) {
    return null;
  }
  return (
    <div className="recipe">
      <RecipeHead changedLines={changedLineCount(changes)} />
      <Notices />
      <div className="recipe-text">
        <Suspense fallback={<p className="state-note">Opening the editor…</p>}>
          <RecipeEditor
            ref={editorRef}
            documentKey={`${open.name}-${open.revision}`}
            initialText={text}
            jsonSchema={jsonSchema}
            problems={check.state === "checked" ? check.problems : noProblems}
            changes={changes}
            baseName={base?.name ?? null}
            isDark={isDark}
            onChange={setText}
            onLaunch={onLaunch}
            onSave={onSave}
          />
        </Suspense>
      </div>
      <ProblemsPanel
        text={text}
        check={check}
        onReveal={(problem) => editorRef.current?.reveal(problem)}
        onFix={(problem) => editorRef.current?.applyFix(problem)}
      />
    </div>
  );
}

function RecipeHead({ changedLines }: { readonly changedLines: number }) {
  const open = useRecipes((state) => state.open);
  const base = useRecipes((state) => state.base);
  const list = useRecipes((state) => state.list);
  const unsaved = useRecipes(isUnsaved);
  const compareWith = useRecipes((state) => state.compareWith);
  if (open === null) {
    return null;
  }
  const changed = changedLines === 0 ? "as" : `${changedLines} ${changedLines === 1 ? "line differs" : "lines differ"} from`;
  return (
    <div className="recipe-head">
      <h1>{open.name}</h1>
      <span className="recipe-kind">{open.isPreset ? "preset" : "recipe"}</span>
      {unsaved ? <span className="recipe-unsaved">not saved, kept as a draft</span> : null}
      <label className="recipe-base">
        {base === null ? "compared with" : changed}{" "}
        <select value={base?.name ?? ""} onChange={(event) => void compareWith(event.currentTarget.value === "" ? null : event.currentTarget.value)}>
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
          <Button onClick={() => void discardDraft()}>Discard it</Button>
          <Button onClick={dismissRestored}>Keep</Button>
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
