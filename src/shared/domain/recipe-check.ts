// What must hold between the keys of a recipe, once each of them is right by itself. Pure, so that the editor, the
// command line and tests say the same.
import type { Recipe } from "./recipe.ts";
import { checkModel, nearestDivisor } from "./recipe-check-model.ts";
import { parseDuration } from "./recipe-duration.ts";
import { evalAddressFindings, isStream, streamFindings } from "./recipe-stream.ts";

export type RecipeFinding = {
  /** The key to underline. */
  readonly path: readonly string[];
  readonly severity: "error" | "warning";
  readonly message: string;
  /** What to put in place of the value. */
  readonly suggestion: string | null;
};

function checkTokenizer({ tokenizer, model }: Recipe): readonly RecipeFinding[] {
  const isTaken = model.init_from !== undefined && tokenizer.train === undefined;
  if (!isTaken && (tokenizer.train === undefined) === (tokenizer.path === undefined)) {
    const found = tokenizer.train === undefined ? "holds neither" : "holds both";
    return [
      {
        path: ["tokenizer"],
        severity: "error",
        message: `tokenizer takes either train or path, and ${found}; write {path: gpt2} or {train: {vocab_size: 2048}}.`,
        suggestion: null,
      },
    ];
  }
  const trained = tokenizer.train?.vocab_size;
  if (trained !== undefined && model.vocab_size !== undefined && model.vocab_size !== trained) {
    return [
      {
        path: ["model", "vocab_size"],
        severity: "error",
        message: `model.vocab_size ${model.vocab_size} is not tokenizer.train.vocab_size ${trained}; leave model.vocab_size out, it comes from the tokenizer.`,
        suggestion: String(trained),
      },
    ];
  }
  return [];
}

function checkBatch(recipe: Recipe): readonly RecipeFinding[] {
  const micro = recipe.device_train_microbatch_size;
  const batch = recipe.global_train_batch_size;
  if (micro === "auto" || batch % micro === 0) {
    return [];
  }
  const divisor = nearestDivisor(batch, micro);
  return [
    {
      path: ["device_train_microbatch_size"],
      severity: "error",
      message: `device_train_microbatch_size ${micro} does not divide global_train_batch_size ${batch} evenly; the nearest that does is ${divisor}.`,
      suggestion: String(divisor),
    },
  ];
}

function checkSchedule(recipe: Recipe): readonly RecipeFinding[] {
  const warmup = parseDuration(recipe.scheduler.t_warmup);
  const total = parseDuration(recipe.max_duration);
  const tokensPerStep = recipe.global_train_batch_size * recipe.max_seq_len;
  // Epochs and seconds cannot be set against steps without the text and the clock.
  const inTokens = ({ value, unit }: typeof warmup) =>
    unit === "ba" ? value * tokensPerStep : unit === "tok" ? value : null;
  const warmupTokens = inTokens(warmup);
  const totalTokens = inTokens(total);
  const isLonger =
    warmup.unit === total.unit
      ? warmup.value > total.value
      : warmupTokens !== null && totalTokens !== null && warmupTokens > totalTokens;
  if (!isLonger) {
    return [];
  }
  return [
    {
      path: ["scheduler", "t_warmup"],
      severity: "error",
      message: `scheduler.t_warmup ${recipe.scheduler.t_warmup} is longer than max_duration ${recipe.max_duration}; shorten it, a few per cent of the run are usual.`,
      suggestion: null,
    },
  ];
}

function checkWeightDecay({ optimizer }: Recipe): readonly RecipeFinding[] {
  if (optimizer.weight_decay < 1e-3) {
    return [];
  }
  return [
    {
      path: ["optimizer", "weight_decay"],
      severity: "warning",
      message: `optimizer.weight_decay ${optimizer.weight_decay} is decoupled: at the highest learning rate every step takes that share off each weight. For the effect of AdamW's ${optimizer.weight_decay} write ${optimizer.weight_decay} × lr = ${(optimizer.weight_decay * optimizer.lr).toExponential(1)}.`,
      suggestion: null,
    },
  ];
}

export function checkRecipe(recipe: Recipe): readonly RecipeFinding[] {
  return [
    ...checkModel(recipe),
    ...checkTokenizer(recipe),
    ...checkBatch(recipe),
    ...checkSchedule(recipe),
    ...checkWeightDecay(recipe),
    ...evalAddressFindings(recipe.data),
    ...(isStream(recipe.data) ? streamFindings(recipe) : []),
  ];
}
