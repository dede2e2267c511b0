// Monaco as this window needs it: the editor without its fifty languages, YAML's colouring, and the YAML language
// service for completion and hover. Imported lazily, by the recipe editor alone. Workers are our own files, so the
// policy that allows scripts only from the application's own address holds.
import * as monaco from "monaco-editor/esm/vs/editor/editor.api";
import "monaco-editor/esm/vs/editor/edcore.main.js";
import "monaco-editor/esm/vs/basic-languages/yaml/yaml.contribution.js";
import EditorWorker from "monaco-editor/esm/vs/editor/editor.worker.js?worker";
import { configureMonacoYaml, type JSONSchema } from "monaco-yaml";
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
      worker.postMessage("ignore");
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
    // The contract carries the schema as plain JSON; zod made it, so it is one.
    schemas: [{ uri: "inmemory://schema/recipe.json", fileMatch: ["*"], schema: jsonSchema as JSONSchema }],
  });
}

export { monaco };
