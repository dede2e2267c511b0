// The engine host: a utility process that loads the addon for the window's short native work, so that a crash of native
// code is an error message and not a lost window. It serves tokenizers, recipe checks, generation and machine facts.
import process from "node:process";
import { machineFacts } from "#core/app/machine";
import { type ServedHandlers, serveHandlers } from "#core/app/remote";
import { createCorpusEngineHandlers } from "#core/corpus/engine-handlers";
import { createModelEngineHandlers } from "#core/models/engine-handlers";
import { ModelKeeper } from "#core/models/keeper";
import { createRecipeHandlers } from "#core/recipe/handlers";
import { createTokenizerHandlers } from "#core/tokenizer/handlers";

/** The part of Electron's utility process port that is used here; Electron itself is imported in main alone. */
type ParentPort = {
  postMessage(message: unknown): void;
  on(event: "message", listener: (event: { readonly data: unknown }) => void): void;
};

// as: this file runs as an Electron utility process only, where the port exists.
const parentPort = (process as unknown as { readonly parentPort: ParentPort }).parentPort;
const [workspaceAtStart = "", userData = ""] = process.argv.slice(2);
let workspace = workspaceAtStart;

const recipes = createRecipeHandlers({ workspace: () => workspace, userData });
const tokenizers = createTokenizerHandlers({ workspace: () => workspace });
const modelFiles = createModelEngineHandlers({ workspace: () => workspace });
const corpora = createCorpusEngineHandlers({ workspace: () => workspace });
const models = new ModelKeeper(() => workspace);

const handlers = {
  requests: {
    ...recipes.requests,
    ...tokenizers.requests,
    ...modelFiles.requests,
    ...corpora.requests,
    "host.machine": async () => machineFacts(),
    "host.use-workspace": async (input: { readonly workspace: string }) => {
      workspace = input.workspace;
      return {};
    },
  },
  streams: {
    ...recipes.streams,
    ...tokenizers.streams,
    ...modelFiles.streams,
    ...corpora.streams,
    "models.generate": models.generate,
  },
} satisfies ServedHandlers;

serveHandlers(
  {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a process's port has no origin
    send: (message) => parentPort.postMessage(message),
    listen: (listener) => parentPort.on("message", (event) => listener(event.data)),
  },
  handlers,
);
