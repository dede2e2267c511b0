// The one open editor, for the Problems panel beside it: the two live in different panels of the frame.
import { createRef } from "react";
import type { RecipeEditorHandle } from "./editor/recipe-editor.tsx";

export const editorHandle = createRef<RecipeEditorHandle>();
