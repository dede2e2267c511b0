// The Playground for the shell: speaking with any checkpoint of any run.
import { TextCursorInput } from "lucide-react";
import type { Feature } from "../../app/feature.ts";
import { formatCount } from "../../lib/format.ts";
import { PlaygroundActions } from "./playground-actions.tsx";
import { PlaygroundMain } from "./playground-main.tsx";
import { SamplingPanel } from "./sampling-panel.tsx";
import { chosenModel, usePlayground } from "./store.ts";

export const playgroundFeature: Feature = {
  id: "playground",
  title: "Playground",
  icon: TextCursorInput,
  Main: PlaygroundMain,
  Details: SamplingPanel,
  Actions: PlaygroundActions,
  useCrumbs: () => {
    const model = usePlayground(chosenModel);
    return model === null
      ? []
      : [{ label: model.step === null ? model.name : `${model.name}, step ${formatCount(model.step)}` }];
  },
};
