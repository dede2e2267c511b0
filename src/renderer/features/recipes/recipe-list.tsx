// All recipes: one's own files first, then the presets that come with Assay.
import { useEffect } from "react";
import { routeHash } from "../../app/router.ts";
import { formatTime } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { presetSource, useRecipes } from "./store.ts";

export function RecipeList() {
  const list = useRecipes((state) => state.list);
  const listError = useRecipes((state) => state.listError);
  const drafts = useRecipes((state) => state.drafts);
  const load = useRecipes((state) => state.load);
  useEffect(() => void load(), [load]);

  if (list === null) {
    return listError === null ? (
      <p className="state-note">Reading recipes…</p>
    ) : (
      <ErrorState
        title="The recipes could not be listed"
        message={listError}
        actions={<Button onClick={() => void load()}>Try again</Button>}
      />
    );
  }
  const unsaved = (source: string) =>
    drafts.has(source) ? <span className="recipe-unsaved">unsaved text kept</span> : null;
  return (
    <div className="page recipe-list">
      <h1>Recipes</h1>
      {listError === null ? null : <p className="bad">The list may be out of date: {listError}</p>}
      <section aria-labelledby="own-recipes">
        <h2 id="own-recipes">In this workspace</h2>
        {list.files.length === 0 ? (
          <p className="muted">None yet. Open a preset, change what you like and save it under a name of your own.</p>
        ) : (
          <table className="table">
            <thead>
              <tr>
                <th>name</th>
                <th>changed</th>
                <th>
                  <span className="sr-only">state</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.files.map((file) => (
                <tr key={file.file}>
                  <td>
                    <a href={routeHash("recipes", file.file)}>{file.name}</a>
                  </td>
                  <td className="muted">{formatTime(file.modifiedAt)}</td>
                  <td>{unsaved(file.file)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      <section aria-labelledby="presets">
        <h2 id="presets">Presets</h2>
        <table className="table">
          <thead>
            <tr>
              <th>name</th>
              <th>what it trains</th>
              <th>
                <span className="sr-only">state</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {list.presets.map((preset) => (
              <tr key={preset.name}>
                <td className="recipe-list-name">
                  <a href={routeHash("recipes", presetSource(preset.name))}>{preset.name}</a>
                </td>
                <td className="muted">{preset.summary}</td>
                <td>{unsaved(presetSource(preset.name))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}
