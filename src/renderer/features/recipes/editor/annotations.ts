// What is drawn onto the recipe's text: problems as markers, their fixes as code actions, and the marks of lines that
// differ from the base.
import type { RecipeProblem } from "#shared/ipc/recipes.contract";
import type { LineChange } from "../line-changes.ts";
import type { monaco as Monaco } from "./monaco.ts";

const OWNER = "assay.recipe";
type TextModel = Monaco.editor.ITextModel;

const problemsOf = new WeakMap<TextModel, readonly RecipeProblem[]>();

export function rangeOf(problem: RecipeProblem): Monaco.IRange {
  return {
    startLineNumber: problem.line,
    startColumn: problem.column,
    endLineNumber: problem.endLine,
    endColumn: problem.endColumn,
  };
}

export function showProblems(monaco: typeof Monaco, model: TextModel, problems: readonly RecipeProblem[]): void {
  problemsOf.set(model, problems);
  const markers = problems.map((problem) => ({
    ...rangeOf(problem),
    // An empty range would draw no squiggle.
    endColumn:
      problem.line === problem.endLine && problem.column === problem.endColumn
        ? problem.endColumn + 1
        : problem.endColumn,
    severity: problem.severity === "error" ? monaco.MarkerSeverity.Error : monaco.MarkerSeverity.Warning,
    message: problem.message,
    code: problem.code,
  }));
  monaco.editor.setModelMarkers(model, OWNER, markers);
}

/** Quick fixes (Ctrl+.) from the problems' suggestions. */
export function provideFixes(monaco: typeof Monaco): Monaco.IDisposable {
  return monaco.languages.registerCodeActionProvider("yaml", {
    provideCodeActions: (model, range) => {
      const actions = (problemsOf.get(model) ?? [])
        .filter(
          (problem) => problem.suggestion !== null && monaco.Range.areIntersectingOrTouching(rangeOf(problem), range),
        )
        .map((problem) => ({
          title: `Replace by ${problem.suggestion ?? ""}`,
          kind: "quickfix",
          isPreferred: true,
          diagnostics: monaco.editor
            .getModelMarkers({ owner: OWNER, resource: model.uri })
            .filter((marker) => marker.startLineNumber === problem.line && marker.startColumn === problem.column),
          edit: {
            edits: [
              {
                resource: model.uri,
                versionId: model.getVersionId(),
                textEdit: { range: rangeOf(problem), text: problem.suggestion ?? "" },
              },
            ],
          },
        }));
      return { actions, dispose: () => undefined };
    },
  });
}

export function showChanges(
  monaco: typeof Monaco,
  decorations: Monaco.editor.IEditorDecorationsCollection,
  changes: readonly LineChange[],
  baseName: string,
): void {
  decorations.set(
    changes.map((change) => {
      const was = change.was.join("\n");
      if (change.kind === "removed") {
        const line = Math.max(1, change.after);
        return {
          range: new monaco.Range(line, 1, line, 1),
          options: {
            linesDecorationsClassName:
              change.after === 0 ? "recipe-change recipe-change-removed-above" : "recipe-change recipe-change-removed",
            linesDecorationsTooltip: `Not here, but in ${baseName}:\n${was}`,
          },
        };
      }
      return {
        range: new monaco.Range(change.from, 1, change.to, 1),
        options: {
          isWholeLine: true,
          linesDecorationsClassName: `recipe-change recipe-change-${change.kind}`,
          linesDecorationsTooltip: change.kind === "added" ? `Not in ${baseName}` : `In ${baseName}:\n${was}`,
        },
      };
    }),
  );
}
