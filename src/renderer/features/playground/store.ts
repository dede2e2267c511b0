// State of the Playground: which model, the prompt, what it wrote and how. Tokens may come faster than frames, so they
// are gathered and put on screen once a frame.

import type { z } from "zod";
import { create } from "zustand";
import type { modelsContract } from "#shared/ipc/models.contract";
import { useSettings } from "../../app/settings-store.ts";
import { CancelledError, client, messageOf } from "../../lib/client.ts";
import { type ModelChoice, type ModelInfo, modelChoices, resolveChoice } from "./model-choices.ts";
import { defaultSampling, draftOf, parseSampling, type SamplingDraft } from "./sampling-form.ts";
import {
  appendTokens,
  type Continuation,
  continuationText,
  emptyContinuation,
  type StreamedToken,
} from "./stream-text.ts";

export type GenerationResult = z.infer<(typeof modelsContract)["streams"]["models.generate"]["output"]>;

export type Generation =
  | { readonly state: "idle" }
  | { readonly state: "waiting" }
  | { readonly state: "streaming" }
  | { readonly state: "done"; readonly result: GenerationResult }
  | { readonly state: "stopped" }
  | { readonly state: "failed"; readonly message: string };

export type HistoryEntry = {
  readonly at: number;
  readonly prompt: string;
  readonly modelName: string;
  readonly step: number | null;
};

type PlaygroundState = {
  readonly models: readonly ModelChoice[] | null;
  readonly modelsError: string | null;
  readonly choiceKey: string | null;
  readonly source: string | null;
  readonly prompt: string;
  readonly sampling: SamplingDraft;
  /** The one of `samples` that is on screen. */
  readonly continuation: Continuation;
  /** All continuations that were written side by side. */
  readonly samples: readonly Continuation[];
  readonly chosenSample: number;
  /** The prompt the continuation was written for; editing the prompt leaves the continuation behind. */
  readonly continuationOf: string | null;
  readonly generation: Generation;
  /** Index into the continuation's words. */
  readonly selectedWord: number | null;
  readonly history: readonly HistoryEntry[];
  readonly loadModels: () => Promise<void>;
  readonly choose: (key: string) => void;
  readonly chooseCheckpoint: (source: string) => void;
  readonly setPrompt: (prompt: string) => void;
  readonly setSampling: (sampling: Partial<SamplingDraft>) => void;
  readonly selectWord: (index: number | null) => void;
  readonly chooseSample: (index: number) => void;
  /** Writes on after all the text on screen: what was written before becomes part of the prompt. */
  readonly writeOn: () => Promise<void>;
  /** Writes the same prompt's continuation again, with the same seed: after a failure. */
  readonly writeAgain: () => Promise<void>;
  /** Writes another continuation of the same prompt, with the next seed. */
  readonly writeAnother: () => Promise<void>;
  /** Keeps the text before the selected word as the prompt and writes on from there with the next seed. */
  readonly branchHere: () => Promise<void>;
  /** The same, with another token in the word's place. */
  readonly branchWith: (alternative: string) => Promise<void>;
  readonly stop: () => void;
  readonly clear: () => void;
  readonly takeBack: (entry: HistoryEntry) => void;
};

const HISTORY_LIMIT = 30;
/** As many as are read at a glance. */
const ALTERNATIVES = 6;
let abort: AbortController | null = null;

export const usePlayground = create<PlaygroundState>((set, get) => ({
  models: null,
  modelsError: null,
  choiceKey: null,
  source: null,
  prompt: "",
  sampling: draftOf(defaultSampling),
  continuation: emptyContinuation,
  samples: [],
  chosenSample: 0,
  continuationOf: null,
  generation: { state: "idle" },
  selectedWord: null,
  history: [],

  async loadModels() {
    try {
      const opened = useSettings.getState().settings?.openedModels ?? [];
      const listed = await client.request("models.list", { opened: [...opened] });
      // Only a causal model writes; one that cannot be read is told about in Models.
      const models = modelChoices(listed.filter(({ family, problem }) => family === "gpt2" && problem === null));
      const { source, choiceKey } = get();
      const resolved = resolveChoice(models, { source, key: choiceKey });
      set({
        models,
        modelsError: null,
        choiceKey: resolved?.choice.key ?? null,
        source: resolved?.checkpoint.source ?? null,
      });
    } catch (error) {
      set({ modelsError: messageOf(error) });
    }
  },

  choose(key) {
    const resolved = resolveChoice(get().models ?? [], { source: null, key });
    if (resolved !== null) {
      set({ choiceKey: resolved.choice.key, source: resolved.checkpoint.source });
    }
  },

  chooseCheckpoint(source) {
    set({ source });
  },

  setPrompt(prompt) {
    set({ prompt });
  },

  setSampling(sampling) {
    set({ sampling: { ...get().sampling, ...sampling } });
  },

  selectWord(index) {
    set({ selectedWord: index });
  },

  chooseSample(chosenSample) {
    const continuation = get().samples[chosenSample];
    if (continuation !== undefined) {
      set({ chosenSample, continuation, selectedWord: null });
    }
  },

  async writeOn() {
    const { prompt, continuation, continuationOf } = get();
    await generate(continuationOf === prompt ? prompt + continuationText(continuation) : prompt);
  },

  async writeAgain() {
    const { continuationOf, prompt } = get();
    await generate(continuationOf ?? prompt);
  },

  async writeAnother() {
    const { continuationOf, prompt } = get();
    nextSeed();
    await generate(continuationOf ?? prompt);
  },

  async branchHere() {
    await get().branchWith("");
  },

  async branchWith(alternative) {
    const { continuation, continuationOf, selectedWord } = get();
    if (selectedWord === null || continuationOf === null) {
      return;
    }
    nextSeed();
    const before = continuationText({ ...continuation, words: continuation.words.slice(0, selectedWord) });
    await generate(continuationOf + before + alternative);
  },

  stop() {
    abort?.abort();
  },

  clear() {
    set({
      continuation: emptyContinuation,
      samples: [],
      chosenSample: 0,
      continuationOf: null,
      generation: { state: "idle" },
      selectedWord: null,
    });
  },

  takeBack(entry) {
    get().stop();
    get().clear();
    set({ prompt: entry.prompt });
  },
}));

export function chosenModel(state: Pick<PlaygroundState, "models" | "source">): ModelInfo | null {
  for (const choice of state.models ?? []) {
    const found = choice.checkpoints.find((checkpoint) => checkpoint.source === state.source);
    if (found !== undefined) {
      return found;
    }
  }
  return null;
}

function nextSeed(): void {
  const { sampling } = usePlayground.getState();
  const seed = Number(sampling.seed);
  if (Number.isSafeInteger(seed + 1)) {
    usePlayground.setState({ sampling: { ...sampling, seed: String(seed + 1) } });
  }
}

async function generate(prompt: string): Promise<void> {
  const { getState: get, setState: set } = usePlayground;
  const { source, generation, sampling, history } = get();
  const parsed = parseSampling(sampling);
  if (source === null || generation.state === "waiting" || generation.state === "streaming" || "problem" in parsed) {
    return;
  }
  const model = chosenModel(get());
  const entry: HistoryEntry = { at: Date.now(), prompt, modelName: model?.name ?? "", step: model?.step ?? null };
  set({
    prompt,
    continuation: emptyContinuation,
    samples: Array.from({ length: parsed.sampling.samples }, () => emptyContinuation),
    chosenSample: 0,
    continuationOf: prompt,
    generation: { state: "waiting" },
    selectedWord: null,
    history: [entry, ...history.filter((past) => past.prompt !== prompt)].slice(0, HISTORY_LIMIT),
  });

  const mine = new AbortController();
  abort = mine;
  const isCurrent = () => abort === mine;
  let gathered: StreamedToken[] = [];
  let frame: number | null = null;
  const flush = () => {
    if (frame !== null) {
      cancelAnimationFrame(frame);
      frame = null;
    }
    const tokens = gathered;
    gathered = [];
    if (isCurrent() && tokens.length > 0) {
      const samples = get().samples.map((continuation, sample) =>
        appendTokens(
          continuation,
          tokens.filter((token) => token.sample === sample),
        ),
      );
      const continuation = samples[get().chosenSample] ?? emptyContinuation;
      set({ samples, continuation, generation: { state: "streaming" } });
    }
  };
  const finish = (ended: Generation) => {
    flush();
    if (isCurrent()) {
      set({ generation: ended });
      abort = null;
    }
  };
  try {
    const result = await client.stream(
      "models.generate",
      { ...parsed.sampling, model: source, prompt, alternatives: ALTERNATIVES },
      (token) => {
        gathered.push(token);
        frame ??= requestAnimationFrame(flush);
      },
      { signal: mine.signal },
    );
    finish(result.stopReason === "cancelled" ? { state: "stopped" } : { state: "done", result });
  } catch (error) {
    finish(error instanceof CancelledError ? { state: "stopped" } : { state: "failed", message: messageOf(error) });
  }
}
