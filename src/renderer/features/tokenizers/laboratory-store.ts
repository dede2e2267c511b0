// State of the laboratory: which tokenizers are set side by side and on what, what came of it, and the word or piece
// that is being looked up. A comparison goes on when the view is left.
import type { z } from "zod";
import { create } from "zustand";
import type { Comparison, overlapSchema, WordExplanation } from "#shared/ipc/tokenizers.contract";
import { CancelledError, client, messageOf } from "../../lib/client.ts";
import { termsOf } from "./laboratory-form.ts";

export type Overlap = z.infer<typeof overlapSchema>;

export type ComparisonForm = {
  readonly tokenizers: readonly string[];
  readonly inputs: readonly string[];
  readonly iobFiles: readonly string[];
  /** One a line. */
  readonly terms: string;
  readonly topEntities: string;
};

export type ComparisonState =
  | { readonly state: "idle" }
  | { readonly state: "running"; readonly bytesRead: number; readonly bytesTotal: number }
  | { readonly state: "failed"; readonly message: string };

type Lookup<Value> = { readonly value: Value | null; readonly error: string | null };
const nothing = { value: null, error: null };

type LaboratoryState = {
  readonly form: ComparisonForm;
  readonly comparing: ComparisonState;
  readonly comparison: Comparison | null;
  readonly word: string;
  readonly explanation: Lookup<{ readonly word: string; readonly found: WordExplanation | null }>;
  readonly search: string;
  readonly found: Lookup<{ readonly total: number; readonly entries: readonly { id: number; piece: string }[] }>;
  readonly against: string | null;
  readonly overlap: Lookup<Overlap>;
  readonly setForm: (form: Partial<ComparisonForm>) => void;
  readonly compare: () => Promise<void>;
  readonly cancel: () => void;
  readonly explain: (tokenizer: string, word: string) => Promise<void>;
  readonly searchVocabulary: (tokenizer: string, search: string) => Promise<void>;
  readonly layOver: (tokenizer: string, against: string | null) => Promise<void>;
  /** Another tokenizer is looked at: what was found in the last one is not its. */
  readonly clearLookups: () => void;
};

export const SHOWN_ENTRIES = 200;

let abort: AbortController | null = null;
let lookups = 0;

/** Answers that come late, after another question, are dropped. */
async function look<Value>(ask: () => Promise<Value>, take: (answer: Lookup<Value>) => void): Promise<void> {
  lookups += 1;
  const mine = lookups;
  let answer: Lookup<Value>;
  try {
    answer = { value: await ask(), error: null };
  } catch (error) {
    answer = { value: null, error: messageOf(error) };
  }
  if (mine === lookups) {
    take(answer);
  }
}

export const useLaboratory = create<LaboratoryState>((set, get) => ({
  form: { tokenizers: [], inputs: [], iobFiles: [], terms: "", topEntities: "0" },
  comparing: { state: "idle" },
  comparison: null,
  word: " cytotoxicity",
  explanation: nothing,
  search: "",
  found: nothing,
  against: null,
  overlap: nothing,

  setForm(form) {
    set({ form: { ...get().form, ...form } });
  },

  async compare() {
    const { form, comparing } = get();
    if (comparing.state === "running") {
      return;
    }
    abort = new AbortController();
    set({ comparing: { state: "running", bytesRead: 0, bytesTotal: 0 } });
    try {
      const comparison = await client.stream(
        "tokenizers.compare",
        {
          tokenizers: [...form.tokenizers],
          inputs: [...form.inputs],
          iobFiles: [...form.iobFiles],
          terms: [...termsOf(form.terms)],
          topEntities: form.iobFiles.length === 0 ? 0 : Number(form.topEntities),
        },
        (item) => set({ comparing: { state: "running", ...item } }),
        { signal: abort.signal },
      );
      set({ comparison, comparing: { state: "idle" } });
    } catch (error) {
      set({
        comparing: error instanceof CancelledError ? { state: "idle" } : { state: "failed", message: messageOf(error) },
      });
    } finally {
      abort = null;
    }
  },

  cancel() {
    abort?.abort();
  },

  async explain(tokenizer, word) {
    set({ word });
    await look(
      async () => ({ word, found: await client.request("tokenizers.explain-word", { tokenizer, word }) }),
      (explanation) => set({ explanation }),
    );
  },

  async searchVocabulary(tokenizer, search) {
    set({ search });
    await look(
      () => client.request("tokenizers.vocabulary", { tokenizer, search, limit: SHOWN_ENTRIES }),
      (found) => set({ found }),
    );
  },

  async layOver(tokenizer, against) {
    set({ against, overlap: nothing });
    if (against !== null) {
      await look(
        () => client.request("tokenizers.overlap", { first: tokenizer, second: against, ignoreMarks: true }),
        (overlap) => set({ overlap }),
      );
    }
  },

  clearLookups() {
    lookups += 1;
    set({ explanation: nothing, found: nothing, against: null, overlap: nothing });
  },
}));
