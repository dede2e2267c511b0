// Asks for the name to save under. Replacing a file names it and what is lost.
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Button } from "../../ui/button.tsx";
import { freeName } from "./recipe-from-folder.ts";
import { recipeNameProblem, useRecipes } from "./store.ts";

type SaveAsDialogProps = { readonly onClose: () => void; readonly onSaved: (file: string) => void };

export function SaveAsDialog({ onClose, onSaved }: SaveAsDialogProps) {
  const open = useRecipes((state) => state.open);
  const list = useRecipes((state) => state.list);
  const saveAs = useRecipes((state) => state.saveAs);
  const taken = new Set((list?.files ?? []).map((file) => file.name));
  const [name, setName] = useState(() => freeName(open?.name ?? "my-recipe", taken));
  const [error, setError] = useState<string | null>(null);
  const dialogRef = useRef<HTMLDialogElement>(null);
  const problem = recipeNameProblem(name);
  const replaces = taken.has(name.trim());

  useEffect(() => {
    const dialog = dialogRef.current;
    if (dialog !== null && !dialog.open) {
      dialog.showModal();
      dialog.querySelector("input")?.select();
    }
  }, []);

  const onSubmit = async (event: FormEvent) => {
    event.preventDefault();
    if (problem !== null) {
      return;
    }
    const saved = await saveAs(name.trim());
    if ("file" in saved) {
      onSaved(saved.file);
    } else {
      setError(saved.error);
    }
  };

  return (
    <dialog ref={dialogRef} className="recipe-dialog" aria-labelledby="save-as-title" onClose={onClose}>
      <form onSubmit={(event) => void onSubmit(event)}>
        <h2 id="save-as-title">Save recipe as</h2>
        <label htmlFor="save-as-name" className="muted">
          Name
        </label>
        <input
          id="save-as-name"
          className="input"
          value={name}
          spellCheck={false}
          aria-invalid={problem !== null}
          aria-describedby="save-as-note"
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <p id="save-as-note" className={problem !== null || error !== null ? "bad" : replaces ? "warn" : "muted"}>
          {error ??
            problem ??
            (replaces
              ? `Replaces the recipe ${name.trim()}; its text is lost.`
              : `Kept as ${name.trim()}.yaml in the workspace’s recipes.`)}
        </p>
        <div className="recipe-dialog-buttons">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={problem !== null}>
            {replaces ? `Replace ${name.trim()}` : "Save recipe"}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
