// What must hold between the model of a recipe, its objective and how it is trained: family and objective, the shape,
// LoRA and its targets, frozen tensors, what only a masked or only a causal model has.
import { type ModelShape, modelTensors } from "./model-tensors.ts";
import type { Recipe } from "./recipe.ts";
import { isShaped } from "./recipe.ts";
import type { RecipeFinding } from "./recipe-check.ts";
import { BERT_TOKEN_TYPES, headOf, isCausal, isLoraTarget, linearModules, matchesAny } from "./recipe-model.ts";

function error(path: string, message: string, suggestion: string | null = null): RecipeFinding {
  return { path: path.split("."), severity: "error", message, suggestion };
}

function warning(path: string, message: string, suggestion: string | null = null): RecipeFinding {
  return { path: path.split("."), severity: "warning", message, suggestion };
}

/** The divisor of `value` nearest to `wish`; the smaller of two as near. */
export function nearestDivisor(value: number, wish: number): number {
  let best = 1;
  for (let divisor = 1; divisor <= value; divisor += 1) {
    if (value % divisor === 0 && Math.abs(divisor - wish) < Math.abs(best - wish)) {
      best = divisor;
    }
  }
  return best;
}

function checkShape({ model }: Recipe): readonly RecipeFinding[] {
  const findings: RecipeFinding[] = [];
  if (model.init_from === undefined) {
    for (const key of ["n_layers", "n_heads", "d_model"] as const) {
      if (model[key] === undefined) {
        findings.push(
          error(`model.${key}`, `model lacks ${key}; give it, or take the shape of a model with model.init_from.`),
        );
      }
    }
  }
  const { d_model: width, n_heads: heads } = model;
  if (width !== undefined && heads !== undefined && width % heads !== 0) {
    const nearest = nearestDivisor(width, heads);
    findings.push(
      error(
        "model.n_heads",
        `model.n_heads ${heads} does not divide model.d_model ${width} evenly; the nearest that does is ${nearest}.`,
        String(nearest),
      ),
    );
  }
  return findings;
}

function checkObjective(recipe: Recipe): readonly RecipeFinding[] {
  const { model, objective, samples } = recipe;
  const findings: RecipeFinding[] = [];
  const causal = isCausal(model.name);
  if (causal !== (objective.name === "clm")) {
    findings.push(
      error(
        "objective.name",
        causal
          ? `objective.name ${objective.name} masks tokens, and model.name gpt2 sees only what stands before; use clm, or model.name bert.`
          : `objective.name clm predicts the next token, and model.name ${model.name} sees both sides; use mlm or mlm+sop.`,
        causal ? "clm" : "mlm",
      ),
    );
    return findings;
  }
  if (causal && objective.whole_word) {
    findings.push(
      warning("objective.whole_word", "objective.whole_word is of masked objectives and does nothing here."),
    );
  }
  if (!causal && objective.document_mask) {
    findings.push(
      warning(
        "objective.document_mask",
        "objective.document_mask is of clm and does nothing here: a masked window never holds more than its own texts.",
      ),
    );
  }
  if (!causal && samples.prompts.length > 0) {
    findings.push(
      warning("samples.prompts", `samples.prompts are not continued: model.name ${model.name} does not write text.`),
    );
  }
  const train = recipe.tokenizer.train;
  const smallest = (train?.type === "byte-bpe" ? 256 : 1) + (causal ? 0 : maskedSpecials.length) + 1;
  if (train !== undefined && train.type !== "wordpiece" && train.lowercase) {
    findings.push(
      error(
        "tokenizer.train.lowercase",
        `tokenizer.train.lowercase is of wordpiece; ${train.type} keeps capitals.`,
        "false",
      ),
    );
  }
  const trained = train?.vocab_size;
  if (trained !== undefined && trained < smallest) {
    findings.push(
      error(
        "tokenizer.train.vocab_size",
        `tokenizer.train.vocab_size ${trained} is too small: ${train?.type === "byte-bpe" ? "256 bytes" : "the unknown token"}, ${causal ? "" : `${maskedSpecials.join(", ")} `}and <|endoftext|> are ${smallest}.`,
        String(smallest),
      ),
    );
  }
  return findings;
}

/** BERT's own, which a tokenizer trained for a masked objective gets before <|endoftext|>. */
export const maskedSpecials = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"] as const;

function shapeIfKnown(recipe: Recipe): ModelShape | null {
  if (!isShaped(recipe)) {
    return null;
  }
  const { model } = recipe;
  return {
    family: model.name,
    head: headOf(recipe.objective.name),
    vocabSize: model.vocab_size ?? 1,
    maxSeqLen: recipe.max_seq_len,
    nLayers: model.n_layers,
    dModel: model.d_model,
    dInner: model.expansion_ratio * model.d_model,
    typeVocabSize: isCausal(model.name) ? 0 : BERT_TOKEN_TYPES,
    labels: 1,
  };
}

/** A shape with every module and tensor name of the family, for names alone. */
function namesOf(recipe: Recipe): ModelShape {
  const known = shapeIfKnown(recipe);
  return {
    family: recipe.model.name,
    head: headOf(recipe.objective.name),
    vocabSize: 1,
    maxSeqLen: 1,
    nLayers: known?.nLayers ?? 1,
    dModel: 1,
    dInner: 1,
    typeVocabSize: 1,
    labels: 1,
  };
}

function checkLora(recipe: Recipe): readonly RecipeFinding[] {
  const { model, optimizer } = recipe;
  const { lora } = model;
  if (lora === undefined) {
    return model.weights === "bf16"
      ? [
          error(
            "model.weights",
            "model.weights bf16 is for a frozen base, and without model.lora every weight is trained; add model.lora, or use precision: amp_bf16.",
            "fp32",
          ),
        ]
      : [];
  }
  const findings: RecipeFinding[] = [];
  if (model.init_from === undefined) {
    findings.push(
      warning(
        "model.lora",
        "model.lora without model.init_from adapts random weights, which stay random; name a trained model in model.init_from.",
      ),
    );
  }
  const modules = linearModules(namesOf(recipe));
  for (const target of lora.targets ?? []) {
    if (!modules.some(({ name }) => isLoraTarget(name, target))) {
      const ends = [...new Set(modules.map(({ name }) => name.split(".").at(-1) ?? name))];
      findings.push(
        error(
          "model.lora.targets",
          `model.lora.targets ${target} names no linear layer of ${model.name}; there are ${ends.join(", ")}.`,
        ),
      );
    }
  }
  const shape = shapeIfKnown(recipe);
  if (shape !== null && lora.rank > shape.dModel) {
    findings.push(
      error(
        "model.lora.rank",
        `model.lora.rank ${lora.rank} is above model.d_model ${shape.dModel}, so the adapter would be no smaller than the layer; 4 to 64 are usual.`,
      ),
    );
  }
  if (model.freeze.length > 0) {
    findings.push(
      warning(
        "model.freeze",
        "model.freeze does nothing beside model.lora, which freezes everything but its adapters.",
      ),
    );
  }
  if (optimizer.state === "8bit") {
    findings.push(
      warning(
        "optimizer.state",
        "optimizer.state 8bit saves next to nothing beside model.lora, whose adapters are small; fp32 is exact.",
        "fp32",
      ),
    );
  }
  return findings;
}

function checkFreeze(recipe: Recipe): readonly RecipeFinding[] {
  const { freeze, lora } = recipe.model;
  if (freeze.length === 0 || lora !== undefined) {
    return [];
  }
  const shape = shapeIfKnown(recipe);
  const tensors = modelTensors(namesOf(recipe));
  const example = isCausal(recipe.model.name) ? "transformer.h.0.*" : "bert.encoder.layer.0.*";
  const findings = freeze.flatMap((glob) =>
    // Without the shape the number of blocks is open, so that a pattern may match one that is not listed here.
    shape !== null && !tensors.some(({ name }) => matchesAny(name, [glob]))
      ? [
          error(
            "model.freeze",
            `model.freeze ${glob} matches no tensor of ${recipe.model.name}; write such as ${example}.`,
          ),
        ]
      : [],
  );
  if (findings.length === 0 && tensors.every(({ name }) => matchesAny(name, freeze))) {
    return [error("model.freeze", "model.freeze matches every tensor, so nothing would be trained; leave some out.")];
  }
  return findings;
}

function checkInitFrom({ model, tokenizer }: Recipe): readonly RecipeFinding[] {
  if (model.init_from === undefined || tokenizer.train === undefined) {
    return [];
  }
  return [
    error(
      "tokenizer.train",
      "tokenizer.train makes new ids, and the weights of model.init_from know their own; leave tokenizer out (on the command line --set tokenizer={}), it comes with the model.",
    ),
  ];
}

export function checkModel(recipe: Recipe): readonly RecipeFinding[] {
  return [
    ...checkShape(recipe),
    ...checkObjective(recipe),
    ...checkInitFrom(recipe),
    ...checkLora(recipe),
    ...checkFreeze(recipe),
  ];
}
