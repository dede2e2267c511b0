// What a wrong key may have meant: the nearest key beside it, the same key at another level, or the name that another
// trainer gives the same thing (Transformers' TrainingArguments and GPT2Config, nanoGPT, Composer).

/** Edits between two words: insert, delete, replace, or swap two neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: width }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column < width; column += 1) {
      const isSame = a[row - 1] === b[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}

function normal(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}

/** The candidate nearest to `word`, or null where none is near enough to be meant. */
export function nearestWord(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length * 0.4)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(normal(word), normal(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Names other trainers use, and the key path here. What differs in meaning is said. */
const foreignNames: Readonly<Record<string, { readonly path: string; readonly note?: string }>> = {
  learning_rate: { path: "optimizer.lr" },
  max_steps: { path: "max_duration", note: "with a unit, such as 400ba" },
  max_iters: { path: "max_duration", note: "with a unit, such as 400ba" },
  num_train_epochs: { path: "max_duration", note: "with a unit, such as 3ep" },
  lr_decay_iters: { path: "max_duration", note: "the cosine ends with the run" },
  per_device_train_batch_size: { path: "device_train_microbatch_size" },
  gradient_accumulation_steps: {
    path: "global_train_batch_size",
    note: "the batch of one optimizer step, accumulation included",
  },
  batch_size: { path: "global_train_batch_size", note: "the batch of one optimizer step, accumulation included" },
  train_batch_size: { path: "global_train_batch_size", note: "the batch of one optimizer step, accumulation included" },
  block_size: { path: "max_seq_len" },
  n_positions: { path: "max_seq_len" },
  n_ctx: { path: "max_seq_len" },
  context_length: { path: "max_seq_len" },
  max_seq_length: { path: "max_seq_len" },
  n_embd: { path: "model.d_model" },
  hidden_size: { path: "model.d_model" },
  n_head: { path: "model.n_heads" },
  num_attention_heads: { path: "model.n_heads" },
  n_layer: { path: "model.n_layers" },
  num_hidden_layers: { path: "model.n_layers" },
  n_inner: { path: "model.expansion_ratio", note: "as a multiple of d_model" },
  embd_pdrop: { path: "model.dropout" },
  attn_pdrop: { path: "model.dropout" },
  resid_pdrop: { path: "model.dropout" },
  adam_beta1: { path: "optimizer.betas", note: "both in one list" },
  adam_beta2: { path: "optimizer.betas", note: "both in one list" },
  beta1: { path: "optimizer.betas", note: "both in one list" },
  beta2: { path: "optimizer.betas", note: "both in one list" },
  adam_epsilon: { path: "optimizer.eps" },
  optim: { path: "optimizer.name" },
  lr_scheduler_type: { path: "scheduler.name" },
  warmup_steps: { path: "scheduler.t_warmup", note: "with a unit, such as 20ba" },
  warmup_iters: { path: "scheduler.t_warmup", note: "with a unit, such as 20ba" },
  warmup_ratio: { path: "scheduler.t_warmup", note: "as a duration, such as 20ba" },
  min_lr: { path: "scheduler.alpha_f", note: "as a fraction of lr" },
  max_grad_norm: { path: "gradient_clipping" },
  grad_clip: { path: "gradient_clipping" },
  clipping_threshold: { path: "gradient_clipping" },
  algorithms: { path: "gradient_clipping", note: "the only one of them here" },
  bf16: { path: "precision" },
  fp16: { path: "precision" },
  dtype: { path: "precision" },
  eval_steps: { path: "eval_interval", note: "with a unit, such as 50ba" },
  eval_strategy: { path: "eval_interval", note: "a duration, such as 50ba" },
  evaluation_strategy: { path: "eval_interval", note: "a duration, such as 50ba" },
  save_steps: { path: "save_interval", note: "with a unit, such as 100ba" },
  save_total_limit: { path: "save_num_checkpoints_to_keep" },
  logging_steps: { path: "log_interval", note: "with a unit, such as 1ba" },
  data_seed: { path: "data.shuffle_seed" },
  train_loader: { path: "data.train" },
  train_file: { path: "data.train" },
  dataset: { path: "data.train" },
  eval_loader: { path: "data.eval" },
  validation_file: { path: "data.eval" },
  fsdp_config: { path: "launch", note: "one machine for now" },
};

const noKeys: Readonly<Record<string, string>> = {
  save_folder: "a run's folder is chosen by the workspace, or by `assay train --run DIR`",
  output_dir: "a run's folder is chosen by the workspace, or by `assay train --run DIR`",
  out_dir: "a run's folder is chosen by the workspace, or by `assay train --run DIR`",
  load_path: "`assay resume RUN` goes on with a run",
  resume_from_checkpoint: "`assay resume RUN` goes on with a run",
};

export type KeyAdvice = {
  /** Completes "there is no key x; …" */
  readonly sentence: string;
  /** A key that can stand in the wrong one's place, at the same level. */
  readonly replacement: string | null;
};

function inPlace(path: string, level: string): string | null {
  const cut = path.lastIndexOf(".");
  return path.slice(0, Math.max(0, cut)) === level ? path.slice(cut + 1) : null;
}

/**
 * @param level the path of the mapping that holds the key, "" at the top
 * @param allPaths every key path of the format
 */
export function adviseKey(key: string, level: string, allPaths: readonly string[]): KeyAdvice {
  const siblings = allPaths.map((path) => inPlace(path, level)).filter((name) => name !== null);
  const prefix = level === "" ? "" : `${level}.`;
  const foreign = foreignNames[normal(key)];
  const foreignInPlace = foreign === undefined ? null : inPlace(foreign.path, level);
  const noKey = noKeys[normal(key)];
  if (noKey !== undefined && !siblings.includes(normal(key))) {
    return { sentence: noKey, replacement: null };
  }
  // A name another trainer uses is meant exactly, unless a slip of the pen here is nearer.
  const near = nearestWord(key, siblings);
  if (near !== null && editDistance(normal(key), normal(near)) <= 1) {
    return { sentence: `did you mean ${prefix}${near}?`, replacement: near };
  }
  if (foreign !== undefined) {
    const note = foreign.note === undefined ? "" : ` (${foreign.note})`;
    return { sentence: `it is ${foreign.path} here${note}`, replacement: foreignInPlace };
  }
  const elsewhere = allPaths.filter((path) => path.slice(path.lastIndexOf(".") + 1) === normal(key));
  if (elsewhere[0] !== undefined) {
    return { sentence: `it belongs at ${elsewhere.join(" or ")}`, replacement: null };
  }
  if (near !== null) {
    return { sentence: `did you mean ${prefix}${near}?`, replacement: near };
  }
  const far = nearestWord(
    key,
    allPaths.map((path) => path.slice(path.lastIndexOf(".") + 1)),
  );
  const farPath = far === null ? undefined : allPaths.find((path) => path.slice(path.lastIndexOf(".") + 1) === far);
  if (farPath !== undefined) {
    return { sentence: `did you mean ${farPath}?`, replacement: null };
  }
  return {
    sentence: siblings.length === 0 ? "no keys belong here" : `the keys here are ${siblings.join(", ")}`,
    replacement: null,
  };
}
