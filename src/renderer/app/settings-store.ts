// Settings as the window holds them, and the theme they make.
import { create } from "zustand";
import type { Settings } from "#shared/ipc/app.contract";
import { client } from "../lib/client.ts";

type SettingsState = { readonly settings: Settings | null; readonly isDark: boolean };

const darkQuery = window.matchMedia("(prefers-color-scheme: dark)");

export const useSettings = create<SettingsState>(() => ({ settings: null, isDark: darkQuery.matches }));

function applyTheme(): void {
  const theme = useSettings.getState().settings?.theme ?? "system";
  const isDark = theme === "dark" || (theme === "system" && darkQuery.matches);
  document.documentElement.dataset["theme"] = isDark ? "dark" : "light";
  useSettings.setState({ isDark });
}

export async function changeSettings(part: Partial<Settings>): Promise<void> {
  useSettings.setState({ settings: await client.request("app.change-settings", part) });
  applyTheme();
}

export async function loadSettings(): Promise<void> {
  darkQuery.addEventListener("change", applyTheme);
  client.subscribe("app.settings-changed", (settings) => {
    useSettings.setState({ settings });
    applyTheme();
  });
  useSettings.setState({ settings: await client.request("app.settings", {}) });
  applyTheme();
}
