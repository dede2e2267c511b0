// State of the Recipes view: the list, the text on screen with what recipes.check says of it, its draft, and the base it
// is compared with. Unsaved text goes to disk a moment after each change, so a crash or a change of view loses nothing.
import { create } from "zustand";
import { client, messageOf } from "../../lib/client.ts";
import { type CheckState, launchState } from "./launch-state.ts";
import { nearestBase } from "./line-changes.ts";
import { freeName, nameFromFolder, recipeFromFolder } from "./recipe-from-folder.ts";

export type PresetEntry = { readonly name: string; readonly summary: string };
export type FileEntry = { readonly file: string; readonly name: string; readonly modifiedAt: string };
export type RecipeList = { readonly presets: readonly PresetEntry[]; readonly files: readonly FileEntry[] };

export type OpenRecipe = {
  /** `preset:<name>` or a file. */
  readonly source: string;
  readonly name: string;
  readonly isPreset: boolean;
  /** What is on disk; a draft differs from it. */
  readonly savedText: string;
  /** Grows when the text is replaced from outside the editor, which then starts afresh. */
  readonly revision: number;
  readonly isDraftRestored: boolean;
};

type SaveResult = { readonly file: string } | { readonly error: string };

type RecipesState = {
  readonly list: RecipeList | null;
  readonly listError: string | null;
  /** Sources that have unsaved text on disk. */
  readonly drafts: ReadonlySet<string>;
  readonly jsonSchema: Readonly<Record<string, unknown>> | null;
  readonly open: OpenRecipe | null;
  readonly openError: { readonly source: string; readonly message: string } | null;
  readonly text: string;
  readonly check: CheckState;
  readonly base: { readonly name: string; readonly text: string } | null;
  readonly isStarting: boolean;
  /** The last save, start or draft that failed. */
  readonly actionError: string | null;
  readonly load: () => Promise<void>;
  readonly openRecipe: (source: string) => Promise<void>;
  readonly setText: (text: string) => void;
  readonly checkNow: () => Promise<void>;
  /** A preset cannot be saved, only saved as. */
  readonly save: () => Promise<void>;
  readonly saveAs: (name: string) => Promise<SaveResult>;
  readonly keepDraftNow: () => Promise<void>;
  readonly discardDraft: () => Promise<void>;
  /** Makes and saves a recipe for a folder of articles; null, and `actionError`, where that failed. */
  readonly newFromFolder: (folder: string) => Promise<string | null>;
  readonly compareWith: (presetName: string | null) => Promise<void>;
  readonly launch: () => Promise<string | null>;
  readonly dismissError: () => void;
  readonly dismissRestored: () => void;
};

const CHECK_DELAY_MS = 200;
const DRAFT_DELAY_MS = 300;
/** The preset that suits a first try with one's own text. */
const FOLDER_PRESET = "biomedlm-tiny";

export function presetSource(name: string): string {
  return `preset:${name}`;
}

let checkTimer: ReturnType<typeof setTimeout> | undefined;
let draftTimer: ReturnType<typeof setTimeout> | undefined;
let openCount = 0;
let checkCount = 0;

export const useRecipes = create<RecipesState>((set, get) => ({
  list: null,
  listError: null,
  drafts: new Set(),
  jsonSchema: null,
  open: null,
  openError: null,
  text: "",
  check: { state: "checking" },
  base: null,
  isStarting: false,
  actionError: null,

  async load() {
    try {
      const list = await client.request("recipes.list", {});
      set({ list, listError: null });
      const { open } = get();
      const drafts = await Promise.all(
        sourcesOf(list).map(async (source) => {
          const { text, draft } = await client.request("recipes.read", { source });
          return draft !== null && draft !== text ? [source] : [];
        }),
      );
      set({
        drafts: new Set(drafts.flat()),
        open: open === null ? null : { ...open, name: nameOfSource(open.source, list) },
      });
    } catch (error) {
      set({ listError: messageOf(error) });
    }
  },

  async openRecipe(source) {
    await flushDraft(get());
    openCount += 1;
    const mine = openCount;
    try {
      const [{ text, draft }, schema, list] = await Promise.all([
        client.request("recipes.read", { source }),
        get().jsonSchema ?? client.request("recipes.schema", {}).then((answer) => answer.jsonSchema),
        get().list ?? client.request("recipes.list", {}),
      ]);
      if (mine !== openCount) {
        return;
      }
      const isPreset = source.startsWith("preset:");
      const isDraftRestored = draft !== null && draft !== text;
      const shown = isDraftRestored ? draft : text;
      set({
        list,
        jsonSchema: schema,
        open: { source, name: nameOfSource(source, list), isPreset, savedText: text, revision: mine, isDraftRestored },
        openError: null,
        text: shown,
        check: { state: "checking" },
        base: null,
        actionError: null,
      });
      await Promise.all([get().checkNow(), findBase(shown, source, mine)]);
    } catch (error) {
      if (mine === openCount) {
        set({ openError: { source, message: messageOf(error) } });
      }
    }
  },

  setText(text) {
    const { open } = get();
    if (open === null || text === get().text) {
      return;
    }
    set({ text });
    clearTimeout(checkTimer);
    checkTimer = setTimeout(() => void get().checkNow(), CHECK_DELAY_MS);
    clearTimeout(draftTimer);
    draftTimer = setTimeout(() => void flushDraft(get()), DRAFT_DELAY_MS);
  },

  async checkNow() {
    clearTimeout(checkTimer);
    checkCount += 1;
    const mine = checkCount;
    const { text, open } = get();
    try {
      const checked = await client.request("recipes.check", { text, source: open?.source ?? null });
      if (mine === checkCount) {
        set({ check: { state: "checked", ...checked } });
      }
    } catch (error) {
      if (mine === checkCount) {
        set({ check: { state: "failed", message: messageOf(error) } });
      }
    }
  },

  async save() {
    const { open, text } = get();
    if (open === null || open.isPreset) {
      return;
    }
    const saved = await writeRecipe(open.name, text, open);
    if ("error" in saved) {
      set({ actionError: saved.error });
    }
  },

  async saveAs(name) {
    const { open, text } = get();
    return open === null ? { error: "No recipe is open." } : await writeRecipe(name, text, open);
  },

  async keepDraftNow() {
    await flushDraft(get());
  },

  async discardDraft() {
    const { open } = get();
    if (open === null) {
      return;
    }
    clearTimeout(draftTimer);
    draftTimer = undefined;
    try {
      await client.request("recipes.keep-draft", { source: open.source, text: null });
    } catch (error) {
      set({ actionError: messageOf(error) });
      return;
    }
    openCount += 1;
    set({ open: { ...open, revision: openCount, isDraftRestored: false }, text: open.savedText });
    await get().checkNow();
  },

  async newFromFolder(folder) {
    set({ actionError: null });
    try {
      const { text } = await client.request("recipes.read", { source: presetSource(FOLDER_PRESET) });
      const list = await client.request("recipes.list", {});
      const taken = new Set(list.files.map((file) => file.name));
      const name = freeName(nameFromFolder(folder), taken);
      const { file } = await client.request("recipes.save", { name, text: recipeFromFolder(text, folder, name) });
      set({ list: await client.request("recipes.list", {}), listError: null });
      return file;
    } catch (error) {
      set({ actionError: messageOf(error) });
      return null;
    }
  },

  async compareWith(presetName) {
    if (presetName === null) {
      set({ base: null });
      return;
    }
    try {
      const { text } = await client.request("recipes.read", { source: presetSource(presetName) });
      set({ base: { name: presetName, text } });
    } catch (error) {
      set({ actionError: messageOf(error) });
    }
  },

  async launch() {
    const { open, isStarting } = get();
    if (open === null || isStarting) {
      return null;
    }
    // What is on screen now, not what was checked a moment ago.
    await get().checkNow();
    const { text, check } = get();
    if (launchState(text, check, false).disabledReason !== null) {
      return null;
    }
    set({ isStarting: true, actionError: null });
    try {
      const { run } = await client.request("runs.start", {
        recipeText: text,
        recipeFile: open.isPreset ? null : open.source,
      });
      return run;
    } catch (error) {
      set({ actionError: messageOf(error) });
      return null;
    } finally {
      set({ isStarting: false });
    }
  },

  dismissError() {
    set({ actionError: null });
  },

  dismissRestored() {
    const { open } = get();
    set({ open: open === null ? null : { ...open, isDraftRestored: false } });
  },
}));

export function isUnsaved(state: Pick<RecipesState, "open" | "text">): boolean {
  return state.open !== null && state.text !== state.open.savedText;
}

function sourcesOf(list: RecipeList): readonly string[] {
  return [...list.files.map((file) => file.file), ...list.presets.map((preset) => presetSource(preset.name))];
}

export function nameOfSource(source: string, list: RecipeList | null): string {
  if (source.startsWith("preset:")) {
    return source.slice("preset:".length);
  }
  const known = list?.files.find((file) => file.file === source)?.name;
  return known ?? (source.split(/[\\/]/u).at(-1) ?? source).replace(/\.ya?ml$/u, "");
}

/** Null where the name can be a file in the recipes folder, else the sentence that says why not. */
export function recipeNameProblem(name: string): string | null {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u.test(name.trim())
    ? null
    : "Up to 64 letters, digits, dots, dashes and underscores; the first is a letter or digit.";
}

/** Writes the draft now; one equal to the saved text is removed instead. */
async function flushDraft(state: RecipesState): Promise<void> {
  if (draftTimer === undefined || state.open === null) {
    return;
  }
  clearTimeout(draftTimer);
  draftTimer = undefined;
  try {
    await client.request("recipes.keep-draft", {
      source: state.open.source,
      text: isUnsaved(state) ? state.text : null,
    });
  } catch (error) {
    useRecipes.setState({ actionError: `The unsaved text could not be kept: ${messageOf(error)}` });
  }
}

/** Saves under a name, drops the draft of where the text came from, and goes on in the saved file. */
async function writeRecipe(name: string, text: string, from: OpenRecipe): Promise<SaveResult> {
  clearTimeout(draftTimer);
  draftTimer = undefined;
  try {
    const { file } = await client.request("recipes.save", { name, text });
    await client.request("recipes.keep-draft", { source: from.source, text: null });
    const list = await client.request("recipes.list", {});
    const { open } = useRecipes.getState();
    // Typing may have gone on while the file was written: that text is on screen and still unsaved.
    useRecipes.setState({
      list,
      actionError: null,
      open:
        open === null
          ? null
          : {
              ...open,
              source: file,
              name: nameOfSource(file, list),
              isPreset: false,
              savedText: text,
              isDraftRestored: false,
            },
    });
    return { file };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

/** A preset is compared with itself; a file with the preset it shares most lines with. */
async function findBase(text: string, source: string, mine: number): Promise<void> {
  const presets = useRecipes.getState().list?.presets ?? [];
  const wanted = presets.filter((preset) => !source.startsWith("preset:") || presetSource(preset.name) === source);
  try {
    const texts = await Promise.all(
      wanted.map(async (preset) => ({
        name: preset.name,
        text: (await client.request("recipes.read", { source: presetSource(preset.name) })).text,
      })),
    );
    const base = source.startsWith("preset:") ? (texts[0] ?? null) : nearestBase(text, texts);
    if (mine === openCount) {
      useRecipes.setState({ base });
    }
  } catch {
    // Without a base there are no marks in the gutter; the recipe itself is unharmed.
  }
}
