// What a view gives the shell. The shell lists the features, draws the one the route names, and puts every command of
// all of them into the palette.
import type { LucideIcon } from "lucide-react";
import type { ComponentType } from "react";
import type { Route } from "./router.ts";

export type Crumb = { readonly label: string; readonly hash?: string };

export type Command = {
  readonly id: string;
  readonly title: string;
  /** Found by these words too. */
  readonly keywords?: string;
  readonly run: () => void;
};

/** Behind a name in the sidebar; `isLive` says that something is going on now. */
export type Count = { readonly value: number; readonly isLive: boolean };

export type Feature = {
  /** First part of the route. */
  readonly id: string;
  readonly title: string;
  readonly icon: LucideIcon;
  readonly Main: ComponentType<{ readonly route: Route }>;
  /** The right-hand panel: what is selected. It folds away below 900 px. */
  readonly Details?: ComponentType<{ readonly route: Route }>;
  /** The panel below: log, samples, problems. */
  readonly Bottom?: ComponentType<{ readonly route: Route }>;
  /** The view's buttons at top right, the accent one last. */
  readonly Actions?: ComponentType<{ readonly route: Route }>;
  /** After the feature's own title. */
  readonly useCrumbs?: (route: Route) => readonly Crumb[];
  readonly useCount?: () => Count | null;
  readonly commands?: () => readonly Command[];
  /** Once, when the window opens. */
  readonly start?: () => void;
  /** Details or Bottom only make sense on some routes. */
  readonly hasDetails?: (route: Route) => boolean;
  readonly hasBottom?: (route: Route) => boolean;
};
