// Monaco's colours from the same tokens as everything else. Monaco takes only hex colours, so the tokens are read from
// the document, where the theme has already resolved them.
import type { monaco as Monaco } from "./monaco.ts";

export const EDITOR_THEME = "assay";

/** Any CSS colour as #rrggbb or #rrggbbaa. */
function toHex(color: string): string {
  const context = document.createElement("canvas").getContext("2d");
  if (context === null) {
    return "#808080";
  }
  context.fillStyle = "#808080";
  context.fillStyle = color;
  const resolved = context.fillStyle;
  if (resolved.startsWith("#")) {
    return resolved;
  }
  const parts =
    /rgba?\(([^)]+)\)/u
      .exec(resolved)?.[1]
      ?.split(/[\s,/]+/u)
      .map(Number) ?? [];
  const [red = 128, green = 128, blue = 128, alpha = 1] = parts;
  return `#${[red, green, blue, Math.round(alpha * 255)].map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

export function applyEditorTheme(monaco: typeof Monaco, isDark: boolean): void {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => toHex(style.getPropertyValue(`--${name}`).trim());
  const bare = (name: string) => token(name).slice(1);
  monaco.editor.defineTheme(EDITOR_THEME, {
    base: isDark ? "vs-dark" : "vs",
    inherit: true,
    rules: [
      { token: "", foreground: bare("ink") },
      { token: "type.yaml", foreground: bare("series-3") },
      { token: "string.yaml", foreground: bare("ink") },
      { token: "number.yaml", foreground: bare("accent") },
      { token: "number.float.yaml", foreground: bare("accent") },
      { token: "number.hex.yaml", foreground: bare("accent") },
      { token: "keyword.yaml", foreground: bare("series-4") },
      { token: "comment.yaml", foreground: bare("muted") },
      { token: "operators.yaml", foreground: bare("muted") },
      { token: "delimiter.yaml", foreground: bare("muted") },
      { token: "delimiter.bracket.yaml", foreground: bare("muted") },
      { token: "delimiter.square.yaml", foreground: bare("muted") },
    ],
    colors: {
      "editor.background": token("surface"),
      "editor.foreground": token("ink"),
      "editorLineNumber.foreground": token("muted"),
      "editorLineNumber.activeForeground": token("ink"),
      "editorCursor.foreground": token("accent"),
      "editor.selectionBackground": token("accent-soft"),
      "editor.inactiveSelectionBackground": token("accent-soft"),
      "editor.selectionHighlightBackground": token("accent-soft"),
      "editor.wordHighlightBackground": token("accent-soft"),
      "editor.lineHighlightBackground": "#00000000",
      "editor.lineHighlightBorder": "#00000000",
      "editorIndentGuide.background1": token("line"),
      "editorIndentGuide.activeBackground1": token("line"),
      ...Object.fromEntries(
        [1, 2, 3, 4, 5, 6].map((depth) => [`editorBracketHighlight.foreground${depth}`, token("muted")]),
      ),
      "editorGutter.background": token("surface"),
      "editorError.foreground": token("bad"),
      "editorWarning.foreground": token("warn"),
      "editorWidget.background": token("surface"),
      "editorWidget.foreground": token("ink"),
      "editorWidget.border": token("line"),
      "editorHoverWidget.background": token("surface"),
      "editorHoverWidget.border": token("line"),
      "editorSuggestWidget.background": token("surface"),
      "editorSuggestWidget.border": token("line"),
      "editorSuggestWidget.foreground": token("ink"),
      "editorSuggestWidget.selectedBackground": token("accent-soft"),
      "editorSuggestWidget.selectedForeground": token("ink"),
      "editorSuggestWidget.highlightForeground": token("accent"),
      "editorSuggestWidget.focusHighlightForeground": token("accent"),
      "list.hoverBackground": token("accent-soft"),
      "input.background": token("paper"),
      "input.border": token("line"),
      "input.foreground": token("ink"),
      focusBorder: token("accent"),
      "scrollbarSlider.background": `${token("faint").slice(0, 7)}55`,
      "scrollbarSlider.hoverBackground": `${token("faint").slice(0, 7)}88`,
      "scrollbarSlider.activeBackground": `${token("faint").slice(0, 7)}aa`,
      "widget.shadow": "#00000022",
    },
  });
  monaco.editor.setTheme(EDITOR_THEME);
}
