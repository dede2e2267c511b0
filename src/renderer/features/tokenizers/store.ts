// State of the Tokenizers view: which there are, what they make of the text on screen, the piece being looked at, and
// the training in progress. Training lives here rather than in the form, so leaving the view does not lose it.

import type { z } from "zod";
import { create } from "zustand";
import type { Piece, tokenizerInfoSchema, tokenizersContract } from "#shared/ipc/tokenizers.contract";
import { CancelledError, client, messageOf } from "../../lib/client.ts";
import { inspectedPart } from "./text-figures.ts";
import { protectedWords, type TokenizerType } from "./training-form.ts";

export type TokenizerInfo = z.infer<typeof tokenizerInfoSchema>;
export type Explanation = z.infer<(typeof tokenizersContract)["requests"]["tokenizers.explain"]["output"]>;

/** What every other tokenizer is set beside. */
export const REFERENCE_TOKENIZER = "gpt2";

export type Inspection = {
  /** The text these pieces belong to; it lags behind what is typed, and the two are never mixed. */
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly textBytes: number;
};
type InspectionState = { readonly result: Inspection | null; readonly error: string | null };

export type TrainingForm = {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly type: TokenizerType;
  /** WordPiece alone. */
  readonly isLowercase: boolean;
  /** Words that become single pieces, one a line. */
  readonly protect: string;
  readonly vocabSize: string;
  readonly minFrequency: string;
};
export type TrainingState =
  | { readonly state: "idle" }
  | {
      readonly state: "running";
      readonly phase: string;
      readonly done: number;
      readonly total: number | null;
      readonly startedAt: number;
    }
  | { readonly state: "failed"; readonly message: string };

type TokenizersState = {
  readonly list: readonly TokenizerInfo[] | null;
  readonly listError: string | null;
  /** The source whose rows are on screen. */
  readonly selected: string | null;
  readonly isCompared: boolean;
  readonly text: string;
  readonly inspections: Readonly<Record<string, InspectionState>>;
  readonly piece: { readonly tokenizer: string; readonly index: number } | null;
  readonly explanation: {
    readonly id: number;
    readonly value: Explanation | null;
    readonly error: string | null;
  } | null;
  readonly form: TrainingForm;
  readonly training: TrainingState;
  readonly load: () => Promise<void>;
  readonly select: (source: string) => void;
  readonly setCompared: (isCompared: boolean) => void;
  readonly setText: (text: string) => void;
  readonly inspect: () => Promise<void>;
  readonly selectPiece: (piece: { tokenizer: string; index: number } | null) => Promise<void>;
  readonly setForm: (form: Partial<TrainingForm>) => void;
  readonly train: () => Promise<TokenizerInfo | null>;
  readonly cancelTraining: () => void;
};

export const exampleText =
  "Immunohistochemistry and liquid chromatography are methods; cytotoxicity is often given as the IC50 in µmol/L. " +
  "A probiotic is a live microorganism, photosynthesis a process.";

const INSPECT_DELAY_MS = 120;

let inspectTimer: ReturnType<typeof setTimeout> | undefined;
let inspectionCount = 0;
let explanationCount = 0;
let trainingAbort: AbortController | null = null;

export const useTokenizers = create<TokenizersState>((set, get) => ({
  list: null,
  listError: null,
  selected: null,
  isCompared: true,
  text: exampleText,
  inspections: {},
  piece: null,
  explanation: null,
  form: {
    name: "",
    inputs: [],
    type: "byte-bpe",
    isLowercase: false,
    protect: "",
    vocabSize: "8192",
    minFrequency: "2",
  },
  training: { state: "idle" },

  async load() {
    try {
      set({ list: await client.request("tokenizers.list", {}), listError: null });
    } catch (error) {
      set({ listError: messageOf(error) });
    }
  },

  select(source) {
    if (get().selected !== source) {
      set({ selected: source, piece: null, explanation: null });
      void get().inspect();
    }
  },

  setCompared(isCompared) {
    set({
      isCompared,
      ...(get().piece?.tokenizer === REFERENCE_TOKENIZER && !isCompared ? { piece: null, explanation: null } : {}),
    });
    void get().inspect();
  },

  setText(text) {
    set({ text, piece: null, explanation: null });
    clearTimeout(inspectTimer);
    inspectTimer = setTimeout(() => void get().inspect(), INSPECT_DELAY_MS);
  },

  async inspect() {
    inspectionCount += 1;
    const mine = inspectionCount;
    const { selected, isCompared } = get();
    const { text } = inspectedPart(get().text);
    if (selected === null) {
      return;
    }
    const sources = isCompared && selected !== REFERENCE_TOKENIZER ? [selected, REFERENCE_TOKENIZER] : [selected];
    const answers = await Promise.all(
      sources.map(async (tokenizer): Promise<readonly [string, InspectionState]> => {
        const previous = get().inspections[tokenizer]?.result ?? null;
        if (previous?.text === text) {
          return [tokenizer, { result: previous, error: null }];
        }
        try {
          const { pieces, textBytes } = await client.request("tokenizers.inspect", { tokenizer, text });
          return [tokenizer, { result: { text, pieces, textBytes }, error: null }];
        } catch (error) {
          return [tokenizer, { result: previous, error: messageOf(error) }];
        }
      }),
    );
    if (mine === inspectionCount) {
      set({ inspections: Object.fromEntries(answers) });
    }
  },

  async selectPiece(piece) {
    explanationCount += 1;
    const mine = explanationCount;
    const id = piece === null ? undefined : get().inspections[piece.tokenizer]?.result?.pieces[piece.index]?.id;
    if (piece === null || id === undefined) {
      set({ piece: null, explanation: null });
      return;
    }
    const isSame = get().piece?.tokenizer === piece.tokenizer && get().explanation?.id === id;
    set({ piece, ...(isSame ? {} : { explanation: { id, value: null, error: null } }) });
    if (isSame) {
      return;
    }
    try {
      const value = await client.request("tokenizers.explain", { tokenizer: piece.tokenizer, id });
      if (mine === explanationCount) {
        set({ explanation: { id, value, error: null } });
      }
    } catch (error) {
      if (mine === explanationCount) {
        set({ explanation: { id, value: null, error: messageOf(error) } });
      }
    }
  },

  setForm(form) {
    set({ form: { ...get().form, ...form } });
  },

  async train() {
    const { form, training } = get();
    if (training.state === "running") {
      return null;
    }
    trainingAbort = new AbortController();
    const startedAt = Date.now();
    set({ training: { state: "running", phase: "starting", done: 0, total: null, startedAt } });
    try {
      const info = await client.stream(
        "tokenizers.train",
        {
          name: form.name.trim(),
          inputs: [...form.inputs],
          type: form.type,
          lowercase: form.type === "wordpiece" && form.isLowercase,
          protectedWords: [...protectedWords(form.protect)],
          vocabSize: Number(form.vocabSize),
          minFrequency: Number(form.minFrequency),
        },
        (item) => set({ training: { state: "running", startedAt, ...item } }),
        { signal: trainingAbort.signal },
      );
      set({ training: { state: "idle" }, form: { ...form, name: "" } });
      await get().load();
      return info;
    } catch (error) {
      set({
        training: error instanceof CancelledError ? { state: "idle" } : { state: "failed", message: messageOf(error) },
      });
      return null;
    } finally {
      trainingAbort = null;
    }
  },

  cancelTraining() {
    trainingAbort?.abort();
  },
}));
