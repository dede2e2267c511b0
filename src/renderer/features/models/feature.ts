// Models for the shell: what lies on disk, what one is and takes, and what can be made of it.
import { Box } from "lucide-react";
import type { Command, Crumb, Feature } from "../../app/feature.ts";
import { go, type Route, routeHash } from "../../app/router.ts";
import { canFineTune } from "./lora-recipe.ts";
import { ModelActions } from "./model-actions.tsx";
import { ModelDetails } from "./model-details.tsx";
import { modelLabel, originText } from "./model-words.ts";
import { ModelsMain } from "./models-main.tsx";
import { chooseModelFile, chooseModelFolder } from "./open-model.ts";
import { listenToModels, loadModels, useModels } from "./store.ts";
import { TensorPanel } from "./tensor-panel.tsx";

const partNames: Readonly<Record<string, string>> = { export: "Export", "fine-tune": "Fine-tune" };

function useCrumbs(route: Route): readonly Crumb[] {
  const [source, part] = route.rest;
  const list = useModels((state) => state.list);
  const name = useModels((state) => (state.open === source ? (state.description.value?.name ?? null) : null));
  if (source === undefined) {
    return [];
  }
  const info = list?.find((each) => each.source === source);
  const label = info === undefined ? (name ?? source) : modelLabel(info);
  const partName = part === undefined ? undefined : partNames[part];
  return partName === undefined ? [{ label }] : [{ label, hash: routeHash("models", source) }, { label: partName }];
}

function commands(): readonly Command[] {
  const { list, open, description } = useModels.getState();
  if (list === null) {
    // Found the next time the palette opens.
    void loadModels();
  }
  const model = description.value;
  const own: readonly Command[] =
    open === null || model === null
      ? []
      : [
          {
            id: "model-export",
            title: `Export ${model.name}`,
            keywords: "gguf safetensors",
            run: () => go("models", open, "export"),
          },
          ...(canFineTune(model)
            ? [
                {
                  id: "model-lora",
                  title: `Fine-tune ${model.name} with LoRA`,
                  run: () => go("models", open, "fine-tune"),
                },
              ]
            : []),
        ];
  return [
    {
      id: "open-model",
      title: "Open a model folder",
      keywords: "hugging face checkpoint",
      run: () => void chooseModelFolder(),
    },
    {
      id: "open-model-file",
      title: "Open a model file",
      keywords: "safetensors bin gguf",
      run: () => void chooseModelFile(),
    },
    ...own,
    ...(list ?? []).map((info) => ({
      id: `model-${info.source}`,
      title: `Model ${modelLabel(info)}, ${originText(info)}`,
      keywords: info.source,
      run: () => go("models", info.source),
    })),
  ];
}

const isPage = (route: Route): boolean => route.rest[0] !== undefined;

export const modelsFeature: Feature = {
  id: "models",
  title: "Models",
  icon: Box,
  Main: ModelsMain,
  Details: ModelDetails,
  Bottom: TensorPanel,
  Actions: ModelActions,
  useCrumbs,
  commands,
  start: listenToModels,
  hasDetails: isPage,
  hasBottom: (route) => isPage(route) && route.rest[1] === undefined,
};
