import { House } from "lucide-react";
import type { Feature } from "../../app/feature.ts";
import { go } from "../../app/router.ts";
import { startQuickstart } from "../runs/store.ts";
import { HomeMain } from "./home-main.tsx";

export const homeFeature: Feature = {
  id: "home",
  title: "Home",
  icon: House,
  Main: HomeMain,
  commands: () => [
    {
      id: "quickstart",
      title: "Train a biomedical model on this computer now",
      keywords: "quickstart sample start",
      run: () => void startQuickstart().then((run) => go("runs", run)),
    },
  ],
};
