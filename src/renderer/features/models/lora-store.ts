// Preparing a fine-tuning: what the form holds, and writing the recipe that opens in the editor.
import { create } from "zustand";
import type { ModelDescription } from "#shared/domain/model";
import { client, messageOf } from "../../lib/client.ts";
import { exportName } from "./export-form.ts";
import { type LoraBase, type LoraForm, loraProblem, loraRecipe } from "./lora-recipe.ts";

type LoraState = {
  /** The model the form was begun for. */
  readonly source: string | null;
  readonly form: LoraForm;
  readonly base: LoraBase;
  readonly taken: ReadonlySet<string>;
  readonly error: string | null;
  readonly isWriting: boolean;
};

export const useLora = create<LoraState>(() => ({
  source: null,
  form: { name: "", data: "", rank: "16" },
  base: "fp32",
  taken: new Set(),
  error: null,
  isWriting: false,
}));

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? wanted : `${wanted}-${count}`;
    if (!taken.has(name)) {
      return name;
    }
  }
}

export async function beginLora(source: string): Promise<void> {
  if (useLora.getState().source === source) {
    return;
  }
  useLora.setState({ source, error: null, form: { ...useLora.getState().form, name: "" } });
  try {
    const { files } = await client.request("recipes.list", {});
    const taken = new Set(files.map((file) => file.name));
    const wanted = `${exportName(source)}-lora`.slice(0, 60);
    if (useLora.getState().source === source) {
      useLora.setState({ taken, form: { ...useLora.getState().form, name: freeName(wanted, taken) } });
    }
  } catch (error) {
    useLora.setState({ error: messageOf(error) });
  }
}

export function changeLora(part: Partial<LoraForm>): void {
  useLora.setState({ form: { ...useLora.getState().form, ...part } });
}

export function changeLoraBase(base: LoraBase): void {
  useLora.setState({ base });
}

/** The file of the recipe, or null where something stood in the way. */
export async function writeLoraRecipe(model: ModelDescription): Promise<string | null> {
  const { form, base, taken, isWriting } = useLora.getState();
  if (isWriting || loraProblem(form, taken, model.shape.width) !== null) {
    return null;
  }
  useLora.setState({ isWriting: true, error: null });
  try {
    const name = form.name.trim();
    const { file } = await client.request("recipes.save", { name, text: loraRecipe(model, form, base) });
    // The next one begins anew.
    useLora.setState({ source: null });
    return file;
  } catch (error) {
    useLora.setState({ error: messageOf(error) });
    return null;
  } finally {
    useLora.setState({ isWriting: false });
  }
}
