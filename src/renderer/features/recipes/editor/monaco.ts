// Monaco as this window needs it: the editor without its fifty languages, YAML's colouring, and the YAML language
// service for completion and hover. Imported lazily, by the recipe editor alone. Workers are our own files, so the
// policy that allows scripts only from the application's own address holds.
import * as monaco from "monaco-editor/esm/vs/editor/editor.api";
import "monaco-editor/esm/vs/editor/edcore.main.js";
import "monaco-editor/esm/vs/basic-languages/yaml/yaml.contribution.js";
// oxlint-disable-next-line import/default -- Vite makes a worker class of ?worker
import EditorWorker from "monaco-editor/esm/vs/editor/editor.worker.js?worker";
import { configureMonacoYaml } from "monaco-yaml";
// oxlint-disable-next-line import/default -- as above
import YamlWorker from "monaco-yaml/yaml.worker.js?worker";

globalThis.MonacoEnvironment = {
  getWorker: (_moduleId, label) => (label === "yaml" ? new YamlWorker() : new EditorWorker()),
};

type LegacyWorkerOptions = { readonly label: string; readonly createData: unknown };

/**
 * monaco-yaml asks for its worker by label; the editor's core takes the worker itself. Monaco's full entry point bridges
 * the two, together with its fifty languages; this bridges them alone.
 */
const monacoForYaml = {
  ...monaco,
  editor: {
    ...monaco.editor,
    createWebWorker: ({ label, createData }: LegacyWorkerOptions) => {
      const worker = label === "yaml" ? new YamlWorker() : new EditorWorker();
      // The first message only opens the worker; the second is what it is made with.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker, not a window
      worker.postMessage("ignore");
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- as above
      worker.postMessage(createData);
      return monaco.editor.createWebWorker({ worker });
    },
  },
};

/**
 * Completion and hover from the recipe's JSON Schema. Its checks are off: recipes.check is the one judge, with the
 * nearest right key and the file's own rules, and two squiggles that disagree would help nobody.
 */
export function openRecipeLanguage(jsonSchema: Readonly<Record<string, unknown>>): monaco.IDisposable {
  // The one member that differs takes what monaco-yaml gives it, as the comment above says.
  return configureMonacoYaml(monacoForYaml as unknown as typeof monaco, {
    enableSchemaRequest: false,
    validate: false,
    completion: true,
    hover: true,
    format: { enable: false },
    schemas: [{ uri: "inmemory://schema/recipe.json", fileMatch: ["*"], schema: jsonSchema }],
  });
}

export { monaco };
