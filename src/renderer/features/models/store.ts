// State of the Models view: the list, and of the model that is open its description, memory, lint and export. A model is
// read from headers alone, so everything but an export answers at once.
import { create } from "zustand";
import type { ExportResult, LintFinding, MemoryColumn, ModelDescription, ModelInfo } from "#shared/domain/model";
import { changeSettings, useSettings } from "../../app/settings-store.ts";
import { CancelledError, client, messageOf } from "../../lib/client.ts";
import { type ExportForm, exportForm } from "./export-form.ts";
import { modelLabel } from "./model-words.ts";

export type Memory = {
  readonly columns: readonly MemoryColumn[];
  readonly machineBytes: number;
  readonly context: number;
};
export type Lint = { readonly tokenizer: string; readonly findings: readonly LintFinding[] };
export type MemoryForm = { readonly microbatch: number; readonly context: number | null; readonly loraRank: number };

/** Keeps the last true content while a new answer is on its way. */
type Answer<T> = { readonly value: T | null; readonly error: string | null; readonly isLoading: boolean };
const unasked = { value: null, error: null, isLoading: false } as const;

export type ExportState =
  | { readonly state: "idle" }
  | {
      readonly state: "running";
      readonly phase: string;
      readonly done: number;
      readonly total: number | null;
      readonly startedAt: number;
    }
  | { readonly state: "failed"; readonly message: string }
  | { readonly state: "done"; readonly result: ExportResult };

type ModelsState = {
  readonly list: readonly ModelInfo[] | null;
  readonly listError: string | null;
  /** The source whose page is open. */
  readonly open: string | null;
  readonly description: Answer<ModelDescription>;
  readonly memory: Answer<Memory>;
  readonly memoryForm: MemoryForm;
  readonly lint: Answer<Lint>;
  /** Null: the model's own. */
  readonly lintWith: string | null;
  readonly exportForm: ExportForm;
  readonly exporting: ExportState;
};

const closed = {
  description: unasked,
  memory: unasked,
  lint: unasked,
  lintWith: null,
  exporting: { state: "idle" },
} as const;

export const useModels = create<ModelsState>(() => ({
  list: null,
  listError: null,
  open: null,
  ...closed,
  memoryForm: { microbatch: 4, context: null, loraRank: 16 },
  exportForm: exportForm(""),
}));

function openedModels(): readonly string[] {
  return useSettings.getState().settings?.openedModels ?? [];
}

export async function loadModels(): Promise<void> {
  try {
    const list = await client.request("models.list", { opened: [...openedModels()] });
    useModels.setState({ list, listError: null });
  } catch (error) {
    useModels.setState({ listError: messageOf(error) });
  }
}

/** Puts a path anywhere on this machine among the models; it is read when its page opens. */
export async function rememberModel(source: string): Promise<void> {
  if ((useModels.getState().list ?? []).every((info) => info.source !== source || info.origin === "opened")) {
    const others = openedModels().filter((each) => each !== source);
    await changeSettings({ openedModels: [source, ...others].slice(0, 200) });
    await loadModels();
  }
}

/** Takes a path off the list; nothing is deleted. */
export async function forgetModel(source: string): Promise<void> {
  await changeSettings({ openedModels: openedModels().filter((each) => each !== source) });
  await loadModels();
}

type AnswerKey = "description" | "memory" | "lint";

/** Asks, unless what is shown has changed meanwhile; an answer to an older question is dropped. */
const asked: Record<AnswerKey, number> = { description: 0, memory: 0, lint: 0 };

async function ask<Key extends AnswerKey>(key: Key, work: () => Promise<ModelsState[Key]["value"]>): Promise<void> {
  asked[key] += 1;
  const mine = asked[key];
  const before = useModels.getState()[key];
  useModels.setState({ [key]: { ...before, error: null, isLoading: true } });
  try {
    const value = await work();
    if (mine === asked[key]) {
      useModels.setState({ [key]: { value, error: null, isLoading: false } });
    }
  } catch (error) {
    if (mine === asked[key]) {
      useModels.setState({ [key]: { ...before, error: messageOf(error), isLoading: false } });
    }
  }
}

function describe(model: string): Promise<void> {
  return ask("description", () => client.request("models.describe", { model }));
}

function forecast(model: string): Promise<void> {
  const { memoryForm } = useModels.getState();
  return ask("memory", () => client.request("models.forecast", { model, ...memoryForm }));
}

function lint(model: string): Promise<void> {
  const { lintWith } = useModels.getState();
  return ask("lint", () => client.request("models.lint", { model, tokenizer: lintWith }));
}

/** Opens a model's page, or reads it again. */
export async function openModel(model: string, options: { readonly isAgain?: boolean } = {}): Promise<void> {
  if (useModels.getState().open === model && options.isAgain !== true) {
    return;
  }
  cancelExport();
  useModels.setState({ open: model, ...closed, exportForm: exportForm(model) });
  await Promise.all([describe(model), forecast(model), lint(model)]);
}

export function changeMemory(part: Partial<MemoryForm>): void {
  const { open, memoryForm } = useModels.getState();
  useModels.setState({ memoryForm: { ...memoryForm, ...part } });
  if (open !== null) {
    void forecast(open);
  }
}

export function lintAgainst(tokenizer: string | null): void {
  const { open } = useModels.getState();
  useModels.setState({ lintWith: tokenizer });
  if (open !== null) {
    void lint(open);
  }
}

export function changeExport(part: Partial<ExportForm>): void {
  useModels.setState({ exportForm: { ...useModels.getState().exportForm, ...part } });
}

let exportAbort: AbortController | null = null;

export function cancelExport(): void {
  exportAbort?.abort();
}

export async function startExport(input: {
  readonly model: string;
  readonly format: ExportForm["format"];
  readonly precision: ExportForm["precision"];
  readonly shardBytes: number | null;
  readonly target: string;
}): Promise<void> {
  if (useModels.getState().exporting.state === "running") {
    return;
  }
  const mine = new AbortController();
  exportAbort = mine;
  const startedAt = Date.now();
  const show = (exporting: ExportState): void => {
    if (exportAbort === mine) {
      useModels.setState({ exporting });
    }
  };
  show({ state: "running", phase: "starting", done: 0, total: null, startedAt });
  try {
    const result = await client.stream(
      "models.export",
      input,
      (item) => show({ state: "running", startedAt, ...item }),
      { signal: mine.signal },
    );
    show({ state: "done", result });
    void loadModels();
  } catch (error) {
    show(error instanceof CancelledError ? { state: "idle" } : { state: "failed", message: messageOf(error) });
  } finally {
    if (exportAbort === mine) {
      exportAbort = null;
    }
  }
}

/** What the open model is called: a checkpoint by its run and step, everything else by its folder or file. */
export function useModelTitle(): string {
  return useModels(({ list, open, description }) => {
    const info = list?.find((each) => each.source === open);
    return info?.origin === "run" ? modelLabel(info) : (description.value?.name ?? "");
  });
}

let isListening = false;

/** Once, when the window opens: runs write checkpoints, and settings name what was opened. */
export function listenToModels(): void {
  if (isListening) {
    return;
  }
  isListening = true;
  let timer: ReturnType<typeof setTimeout> | undefined;
  client.subscribe("runs.list-changed", () => {
    // Checkpoints come seldom, news of runs twice a second.
    timer ??= setTimeout(() => {
      timer = undefined;
      if (useModels.getState().list !== null) {
        void loadModels();
      }
    }, 2000);
  });
}
