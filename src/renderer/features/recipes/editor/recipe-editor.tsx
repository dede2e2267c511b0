// The recipe's text in Monaco: the problems as markers with their fixes, differences from the base in the gutter. It
// owns the editor, its model and the language service, and gives all of them back when it leaves.
import { useEffect, useLayoutEffect, useRef } from "react";
import type { RecipeProblem } from "#shared/ipc/recipes.contract";
import { type RecipeEditorHandle, registerEditor } from "../editor-handle.ts";
import type { LineChange } from "../line-changes.ts";
import { provideFixes, rangeOf, showChanges, showProblems } from "./annotations.ts";
import { monaco, openRecipeLanguage } from "./monaco.ts";
import { applyEditorTheme, EDITOR_THEME } from "./monaco-theme.ts";

export type RecipeEditorProps = {
  /** Read once: another text is another editor, by its `key`. */
  readonly initialText: string;
  readonly jsonSchema: Readonly<Record<string, unknown>> | null;
  readonly problems: readonly RecipeProblem[];
  readonly changes: readonly LineChange[];
  readonly baseName: string | null;
  readonly isDark: boolean;
  readonly onChange: (text: string) => void;
  readonly onLaunch: () => void;
  readonly onSave: () => void;
};

let modelCount = 0;

/** Each text its own: the language service may still speak of the one before. The ending chooses the schema. */
function nextUri(): monaco.Uri {
  modelCount += 1;
  return monaco.Uri.parse(`inmemory://recipes/${modelCount}.yaml`);
}

function handleOf(editor: monaco.editor.IStandaloneCodeEditor): RecipeEditorHandle {
  return {
    reveal: (problem) => {
      editor.setSelection(rangeOf(problem));
      editor.revealLineInCenterIfOutsideViewport(problem.line);
      editor.focus();
    },
    applyFix: (problem) => {
      if (problem.suggestion === null) {
        return;
      }
      editor.pushUndoStop();
      editor.executeEdits("assay.fix", [{ range: rangeOf(problem), text: problem.suggestion }]);
      editor.pushUndoStop();
      editor.setPosition({ lineNumber: problem.line, column: problem.column + problem.suggestion.length });
      editor.focus();
    },
  };
}

export default function RecipeEditor(props: RecipeEditorProps) {
  const hostRef = useRef<HTMLDivElement>(null);
  const editorRef = useRef<monaco.editor.IStandaloneCodeEditor | null>(null);
  const decorationsRef = useRef<monaco.editor.IEditorDecorationsCollection | null>(null);
  const propsRef = useRef(props);
  useLayoutEffect(() => {
    propsRef.current = props;
  });
  const { jsonSchema, problems, changes, baseName, isDark } = props;

  useEffect(() => {
    const host = hostRef.current;
    if (host === null) {
      return undefined;
    }
    applyEditorTheme(monaco, propsRef.current.isDark);
    const model = monaco.editor.createModel(propsRef.current.initialText, "yaml", nextUri());
    const editor = monaco.editor.create(host, {
      model,
      theme: EDITOR_THEME,
      ariaLabel: "Recipe text. Ctrl+M lets Tab leave the editor.",
      automaticLayout: true,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono").trim() || "monospace",
      fontSize: 13,
      lineHeight: 21,
      fontLigatures: false,
      minimap: { enabled: false },
      scrollBeyondLastLine: false,
      scrollbar: { verticalScrollbarSize: 10, horizontalScrollbarSize: 10, alwaysConsumeMouseWheel: false },
      padding: { top: 10, bottom: 10 },
      renderLineHighlight: "none",
      overviewRulerBorder: false,
      overviewRulerLanes: 0,
      hideCursorInOverviewRuler: true,
      lineNumbersMinChars: 3,
      lineDecorationsWidth: 12,
      glyphMargin: false,
      renderFinalNewline: "on",
      folding: false,
      guides: { indentation: true },
      tabSize: 2,
      insertSpaces: true,
      wordWrap: "on",
      wrappingIndent: "indent",
      // The window opens nothing outside itself.
      links: false,
      wordBasedSuggestions: "off",
      quickSuggestions: { other: true, comments: false, strings: true },
      fixedOverflowWidgets: true,
      unicodeHighlight: { ambiguousCharacters: false },
      smoothScrolling: false,
      cursorSmoothCaretAnimation: "off",
    });
    editorRef.current = editor;
    decorationsRef.current = editor.createDecorationsCollection();
    editor.addAction({
      id: "assay.launch",
      label: "Train this recipe",
      keybindings: [monaco.KeyMod.CtrlCmd | monaco.KeyCode.Enter],
      run: () => propsRef.current.onLaunch(),
    });
    editor.addAction({
      id: "assay.save",
      label: "Save this recipe",
      keybindings: [monaco.KeyMod.CtrlCmd | monaco.KeyCode.KeyS],
      run: () => propsRef.current.onSave(),
    });
    const listener = model.onDidChangeContent(() => propsRef.current.onChange(model.getValue()));
    const fixes = provideFixes(monaco);
    const unregister = registerEditor(handleOf(editor));
    // Measured before the font has come, columns would be wrong.
    void document.fonts.ready.then(() => monaco.editor.remeasureFonts());
    return () => {
      unregister();
      fixes.dispose();
      listener.dispose();
      editor.dispose();
      model.dispose();
      editorRef.current = null;
      decorationsRef.current = null;
    };
  }, []);

  useEffect(() => {
    if (jsonSchema === null) {
      return undefined;
    }
    const language = openRecipeLanguage(jsonSchema);
    return () => language.dispose();
  }, [jsonSchema]);

  useEffect(() => {
    const model = editorRef.current?.getModel();
    if (model) {
      showProblems(monaco, model, problems);
    }
  }, [problems]);

  useEffect(() => {
    if (decorationsRef.current !== null) {
      showChanges(monaco, decorationsRef.current, changes, baseName ?? "the preset");
    }
  }, [changes, baseName]);

  useEffect(() => {
    // The tokens change with an attribute on the document, in the same frame as this property.
    applyEditorTheme(monaco, isDark);
  }, [isDark]);

  return <div ref={hostRef} className="recipe-editor-host" data-testid="recipe-editor" />;
}
