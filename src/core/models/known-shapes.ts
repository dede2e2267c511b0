// Shapes that papers gave names: what a person recognises beside the exact number of parameters.
// Sources: Radford et al. 2019 and its public checkpoints (GPT-2), Devlin et al. 2019 and Turc et al. 2019 (BERT), Sanh
// et al. 2019 (the distilled ones), Bolton et al. 2024 (BioMedLM), Shin et al. 2020 (BioMegatron).
import type { NativeModelConfig } from "../engine/addon.ts";

type KnownShape = {
  readonly name: string;
  readonly family: NativeModelConfig["family"];
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Only where the name stands for one vocabulary. */
  readonly vocabulary?: number;
};

const shapes: readonly KnownShape[] = [
  { name: "BioMedLM 2.7B", family: "gpt2", layers: 32, width: 2560, heads: 20, vocabulary: 28_896 },
  { name: "DistilGPT2 82M", family: "gpt2", layers: 6, width: 768, heads: 12 },
  { name: "GPT-2 124M", family: "gpt2", layers: 12, width: 768, heads: 12 },
  { name: "GPT-2 medium 355M", family: "gpt2", layers: 24, width: 1024, heads: 16 },
  { name: "GPT-2 large 774M", family: "gpt2", layers: 36, width: 1280, heads: 20 },
  { name: "GPT-2 XL 1.5B", family: "gpt2", layers: 48, width: 1600, heads: 25 },
  { name: "BERT-tiny", family: "bert", layers: 2, width: 128, heads: 2 },
  { name: "BERT-mini", family: "bert", layers: 4, width: 256, heads: 4 },
  { name: "BERT-small", family: "bert", layers: 4, width: 512, heads: 8 },
  { name: "BERT-medium", family: "bert", layers: 8, width: 512, heads: 8 },
  { name: "BERT-base 110M", family: "bert", layers: 12, width: 768, heads: 12 },
  { name: "BERT-large 340M", family: "bert", layers: 24, width: 1024, heads: 16 },
  { name: "BioMegatron 345M", family: "megatron_bert", layers: 24, width: 1024, heads: 16 },
  { name: "BioMegatron 800M", family: "megatron_bert", layers: 36, width: 1280, heads: 20 },
  { name: "BioMegatron 1.2B", family: "megatron_bert", layers: 24, width: 2048, heads: 16 },
];

/** The papers' name of a shape; null for one that is nobody's. */
export function knownShapeName(config: NativeModelConfig): string | null {
  const known = shapes.find(
    (shape) =>
      shape.family === config.family &&
      shape.layers === config.nLayers &&
      shape.width === config.dModel &&
      shape.heads === config.nHeads &&
      config.dInner === 4 * config.dModel &&
      (shape.vocabulary === undefined || shape.vocabulary === config.vocabSize),
  );
  return known?.name ?? null;
}
