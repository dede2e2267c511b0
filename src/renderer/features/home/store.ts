// What Home knows besides the runs: what the main job would take on this computer, from the planner itself.
import { create } from "zustand";
import type { Forecast } from "#shared/ipc/recipes.contract";
import { client } from "../../lib/client.ts";

/** The preset that the main job trains. */
const quickstartPreset = "preset:biomedlm-tiny";

export const useHome = create<{ readonly forecast: Forecast | null }>(() => ({ forecast: null }));

/** A forecast that cannot be made leaves the sentence out; the recipe's own page says why. */
export async function readForecast(): Promise<void> {
  try {
    const { text } = await client.request("recipes.read", { source: quickstartPreset });
    const { forecast } = await client.request("recipes.check", { text, source: quickstartPreset });
    useHome.setState({ forecast });
  } catch {
    useHome.setState({ forecast: null });
  }
}
