// The objects of the work, in the order of the sidebar; only those whose view is real.
import { corporaFeature } from "../features/corpora/feature.ts";
import { homeFeature } from "../features/home/feature.ts";
import { modelsFeature } from "../features/models/feature.ts";
import { playgroundFeature } from "../features/playground/feature.ts";
import { recipesFeature } from "../features/recipes/feature.ts";
import { runsFeature } from "../features/runs/feature.ts";
import { settingsFeature } from "../features/settings/feature.ts";
import { tokenizersFeature } from "../features/tokenizers/feature.ts";
import type { Feature } from "./feature.ts";

export const features: readonly Feature[] = [
  homeFeature,
  corporaFeature,
  tokenizersFeature,
  recipesFeature,
  runsFeature,
  modelsFeature,
  playgroundFeature,
  settingsFeature,
];
