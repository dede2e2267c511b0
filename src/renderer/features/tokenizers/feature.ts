// Tokenizers for the shell: what they make of a text, and training one.
import { Puzzle } from "lucide-react";
import type { Command, Feature } from "../../app/feature.ts";
import { go } from "../../app/router.ts";
import { PiecePanel } from "./piece-panel.tsx";
import { useTokenizers } from "./store.ts";
import { TokenizerActions } from "./tokenizer-actions.tsx";
import { tokenizerLabel, tokenizerPlace } from "./tokenizer-label.ts";
import { TokenizersMain } from "./tokenizers-main.tsx";

/** The route of the training form; but for the next one, every other first part is a tokenizer's source. */
export const TRAIN_ROUTE = "train";
/** The route of the comparison. */
const COMPARE_ROUTE = "compare";

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
    {
      id: "compare-tokenizers",
      title: "Compare tokenizers",
      keywords: "laboratory fertility break rate terms entities vocabulary",
      run: () => go("tokenizers", COMPARE_ROUTE),
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
    if (source === COMPARE_ROUTE) {
      return [{ label: "Compare tokenizers" }];
    }
    const info = list?.find((known) => known.source === source);
    return [
      { label: source === TRAIN_ROUTE ? "Train a tokenizer" : info === undefined ? source : tokenizerLabel(info) },
    ];
  },
  commands,
  hasDetails: ({ rest: [source] }) => source !== undefined && source !== TRAIN_ROUTE && source !== COMPARE_ROUTE,
};
