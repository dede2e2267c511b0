// The recipe's text in Monaco: the problems as markers with their fixes, differences from the base in the gutter. It
// owns the editor, its model and the language service, and gives all of them back when it leaves.
import { type Ref, useEffect, useImperativeHandle, useRef } from "react";
import type { RecipeProblem } from "#shared/ipc/recipes.contract";
import type { LineChange } from "../line-changes.ts";
import { monaco, openRecipeLanguage } from "./monaco.ts";
import { applyEditorTheme, EDITOR_THEME } from "./monaco-theme.ts";
import { provideFixes, showChanges, showProblems } from "./annotations.ts";

export type RecipeEditorHandle = {
  focus(): void;
  reveal(problem: RecipeProblem): void;
  /** Puts the problem's suggestion in, as an edit that can be undone. */
  applyFix(problem: RecipeProblem): void;
};

export type RecipeEditorProps = {
  readonly ref?: Ref<RecipeEditorHandle>;
  /** Which document is shown: another one is another model, with its own undo history. */
  readonly documentKey: string;
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

export default function RecipeEditor(props: RecipeEditorProps) {
  const hostRef = useRef<HTMLDivElement>(null);
  const editorRef = useRef<monaco.editor.IStandaloneCodeEditor | null>(null);
  const decorationsRef = useRef<monaco.editor.IEditorDecorationsCollection | null>(null);
  const propsRef = useRef(props);
  propsRef.current = props;
  const { documentKey, jsonSchema, problems, changes, baseName, isDark } = props;

  useEffect(() => {
    const host = hostRef.current;
    if (host === null) {
      return;
    }
    applyEditorTheme(monaco, propsRef.current.isDark);
    const editor = monaco.editor.create(host, {
      model: null,
      theme: EDITOR_THEME,
      ariaLabel: "Recipe text. Ctrl+M lets Tab leave the editor.",
      automaticLayout: true,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono").trim() || "monospace",
      fontSize: 13,
      lineHeight: 21,
      fontLigatures: false,
      minimap: { enabled: false },
      scrollBeyondLastLine: false,
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
    const fixes = provideFixes(monaco);
    // Measured before the font has come, columns would be wrong.
    void document.fonts.ready.then(() => monaco.editor.remeasureFonts());
    return () => {
      fixes.dispose();
      editor.dispose();
      editorRef.current = null;
      decorationsRef.current = null;
    };
  }, []);

  useEffect(() => {
    if (jsonSchema === null) {
      return;
    }
    const language = openRecipeLanguage(jsonSchema);
    return () => language.dispose();
  }, [jsonSchema]);

  useEffect(() => {
    const editor = editorRef.current;
    if (editor === null) {
      return;
    }
    const uri = monaco.Uri.parse(`inmemory://recipes/${encodeURIComponent(documentKey)}.yaml`);
    monaco.editor.getModel(uri)?.dispose();
    const model = monaco.editor.createModel(propsRef.current.initialText, "yaml", uri);
    editor.setModel(model);
    const listener = model.onDidChangeContent(() => propsRef.current.onChange(model.getValue()));
    return () => {
      listener.dispose();
      if (editorRef.current !== null) {
        editor.setModel(null);
      }
      model.dispose();
    };
  }, [documentKey]);

  useEffect(() => {
    const model = editorRef.current?.getModel();
    if (model) {
      showProblems(monaco, model, problems);
    }
  }, [problems, documentKey]);

  useEffect(() => {
    if (decorationsRef.current !== null) {
      showChanges(monaco, decorationsRef.current, changes, baseName ?? "the preset");
    }
  }, [changes, baseName, documentKey]);

  useEffect(() => {
    // The tokens change with an attribute on the document, in the same frame as this property.
    applyEditorTheme(monaco, isDark);
  }, [isDark]);

  useImperativeHandle(
    props.ref,
    () => ({
      focus: () => editorRef.current?.focus(),
      reveal: (problem) => {
        const editor = editorRef.current;
        editor?.setSelection({
          startLineNumber: problem.line,
          startColumn: problem.column,
          endLineNumber: problem.endLine,
          endColumn: problem.endColumn,
        });
        editor?.revealLineInCenterIfOutsideViewport(problem.line);
        editor?.focus();
      },
      applyFix: (problem) => {
        const editor = editorRef.current;
        if (editor === null || problem.suggestion === null) {
          return;
        }
        const range = new monaco.Range(problem.line, problem.column, problem.endLine, problem.endColumn);
        editor.pushUndoStop();
        editor.executeEdits("assay.fix", [{ range, text: problem.suggestion }]);
        editor.pushUndoStop();
        editor.setPosition({ lineNumber: problem.line, column: problem.column + problem.suggestion.length });
        editor.focus();
      },
    }),
    [],
  );

  return <div ref={hostRef} className="recipe-editor-host" data-testid="recipe-editor" />;
}
