import { Settings } from "lucide-react";
import type { Feature } from "../../app/feature.ts";
import { SettingsMain } from "./settings-main.tsx";

export const settingsFeature: Feature = { id: "settings", title: "Settings", icon: Settings, Main: SettingsMain };
