// Which class of Transformers a model is: the names in config.json's `architectures`, and, where a model does not say,
// the head that its tensors show.
import type { NativeFamily, NativeHead, NativeModelConfig } from "../../engine/addon.ts";

export const modelTypes: Readonly<Record<NativeFamily, string>> = {
  gpt2: "gpt2",
  bert: "bert",
  megatron_bert: "megatron-bert",
};

const prefixes: Readonly<Record<NativeFamily, string>> = { gpt2: "GPT2", bert: "Bert", megatron_bert: "MegatronBert" };

const endings: Readonly<Record<NativeHead, string>> = {
  "causal-lm": "LMHeadModel",
  "masked-lm": "ForMaskedLM",
  pretraining: "ForPreTraining",
  "multiple-choice": "ForMultipleChoice",
  "sequence-classification": "ForSequenceClassification",
  "token-classification": "ForTokenClassification",
  "span-qa": "ForQuestionAnswering",
};

const headsOfDecoders: readonly NativeHead[] = [
  "causal-lm",
  "multiple-choice",
  "sequence-classification",
  "token-classification",
  "span-qa",
];
const headsOfEncoders: readonly NativeHead[] = [
  "masked-lm",
  "pretraining",
  "multiple-choice",
  "sequence-classification",
  "token-classification",
  "span-qa",
];

export function headsOf(family: NativeFamily): readonly NativeHead[] {
  return family === "gpt2" ? headsOfDecoders : headsOfEncoders;
}

/** What language modelling is called in the family: the head of a model that names none. */
export function languageHead(family: NativeFamily): NativeHead {
  return family === "gpt2" ? "causal-lm" : "masked-lm";
}

/** Transformers' class; GPT2ForMultipleChoice alone is our own name, since it has no such class. */
export function architectureName({ family, head }: Pick<NativeModelConfig, "family" | "head">): string {
  return `${prefixes[family]}${endings[head]}`;
}

/** The head a class has; null for the bare model, undefined for a class that is not known. */
export function headOfArchitecture(family: NativeFamily, architecture: string): NativeHead | null | undefined {
  const prefix = prefixes[family];
  if (!architecture.startsWith(prefix)) {
    return undefined;
  }
  const ending = architecture.slice(prefix.length);
  if (ending === "Model") {
    // GPT-2's output layer is its token embedding, so that the bare model is the whole language model.
    return family === "gpt2" ? "causal-lm" : null;
  }
  if (ending === "LMHeadModel") {
    return languageHead(family);
  }
  return headsOf(family).find((head) => endings[head] === ending);
}

type TensorShape = { readonly name: string; readonly shape: readonly number[] };

function nameEnds(tensors: readonly TensorShape[], ending: string): TensorShape | undefined {
  return tensors.find(({ name }) => name === ending || name.endsWith(`.${ending}`));
}

/** The head that the tensors of a file show; null where they are those of a bare model. */
export function headOfTensors(family: NativeFamily, tensors: readonly TensorShape[]): NativeHead | null {
  if (nameEnds(tensors, "qa_outputs.weight") !== undefined) {
    return "span-qa";
  }
  const classifier = nameEnds(tensors, "classifier.weight");
  if (classifier !== undefined) {
    if (classifier.shape[0] === 1) {
      return "multiple-choice";
    }
    // Only what classifies a whole sequence has a pooler before it.
    return family !== "gpt2" && nameEnds(tensors, "pooler.dense.weight") !== undefined
      ? "sequence-classification"
      : "token-classification";
  }
  if (family === "gpt2") {
    return nameEnds(tensors, "score.weight") === undefined ? "causal-lm" : "sequence-classification";
  }
  if (nameEnds(tensors, "cls.predictions.bias") === undefined) {
    return null;
  }
  return nameEnds(tensors, "cls.seq_relationship.weight") === undefined ? "masked-lm" : "pretraining";
}

/** How many labels the tensors of a classifying head show. */
export function labelCountOfTensors(tensors: readonly TensorShape[]): number | null {
  const layer = nameEnds(tensors, "classifier.weight") ?? nameEnds(tensors, "score.weight");
  return layer?.shape[0] ?? null;
}
