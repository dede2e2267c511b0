// Tokenizers for the shell: what they make of a text, and training one.
import { Puzzle } from "lucide-react";
import type { Command, Feature } from "../../app/feature.ts";
import { go } from "../../app/router.ts";
import { PiecePanel } from "./piece-panel.tsx";
import { useTokenizers } from "./store.ts";
import { TokenizerActions } from "./tokenizer-actions.tsx";
import { tokenizerLabel, tokenizerPlace } from "./tokenizer-label.ts";
import { TokenizersMain } from "./tokenizers-main.tsx";

/** The route of the training form; every other first part is a tokenizer's source. */
export const TRAIN_ROUTE = "train";

function commands(): readonly Command[] {
  const { list, load } = useTokenizers.getState();
  if (list === null) {
    // Found the next time the palette opens.
    void load();
  }
  return [
    {
      id: "train-tokenizer",
      title: "Train a tokenizer",
      keywords: "bpe vocabulary new",
      run: () => go("tokenizers", TRAIN_ROUTE),
    },
    ...(list ?? []).map((info) => ({
      id: `tokenizer-${info.source}`,
      title: `Open tokenizer ${tokenizerLabel(info)}, ${tokenizerPlace(info)}`,
      keywords: info.kind,
      run: () => go("tokenizers", info.source),
    })),
  ];
}

export const tokenizersFeature: Feature = {
  id: "tokenizers",
  title: "Tokenizers",
  icon: Puzzle,
  Main: TokenizersMain,
  Details: PiecePanel,
  Actions: TokenizerActions,
  useCrumbs: (route) => {
    const list = useTokenizers((state) => state.list);
    const [source] = route.rest;
    if (source === undefined) {
      return [];
    }
    const info = list?.find((known) => known.source === source);
    return [
      { label: source === TRAIN_ROUTE ? "Train a tokenizer" : info === undefined ? source : tokenizerLabel(info) },
    ];
  },
  commands,
  hasDetails: (route) => route.rest[0] !== undefined && route.rest[0] !== TRAIN_ROUTE,
};
