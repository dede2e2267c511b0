// The recipe of a LoRA fine-tuning: a preset-like text with its reasons, that starts from a model and trains adapters on
// one's own text. It opens in the editor, where its forecast stands beside it.
import { stringify } from "yaml";
import type { ModelDescription } from "#shared/domain/model";

export type LoraForm = {
  readonly name: string;
  /** A folder or file of texts. */
  readonly data: string;
  readonly rank: string;
};

/** How the base is kept while adapters are trained. */
export type LoraBase = "fp32" | "bf16";

/** Weights of its own, which a recipe can begin with, under a head that learns from plain text. */
export function canFineTune(model: Pick<ModelDescription, "head" | "format" | "adapter">): boolean {
  const readsText = model.head === "causal-lm" || model.head === "masked-lm" || model.head === "pretraining";
  return readsText && model.format !== "gguf" && model.adapter === null;
}

const nameRule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;

export function loraProblem(form: LoraForm, taken: ReadonlySet<string>, width: number): string | null {
  const rank = Number(form.rank.trim());
  if (form.data === "") {
    return "Choose the texts to fine-tune on.";
  }
  if (!nameRule.test(form.name.trim())) {
    return "The name takes up to 64 letters, digits, dots, dashes and underscores; the first is a letter or digit.";
  }
  if (taken.has(form.name.trim())) {
    return `There is a recipe ${form.name.trim()} already.`;
  }
  return Number.isInteger(rank) && rank >= 1 && rank <= width
    ? null
    : `The rank is a whole number from 1 to the model’s width, ${width}; 4 to 64 are usual.`;
}

/** Longer texts are cut into windows of this length: a small machine trains no longer ones. */
const WINDOW_TOKENS = 256;

const modelNames = { gpt2: "gpt2", bert: "bert", megatron_bert: "megatron_bert" } as const;

export function loraRecipe(
  model: Pick<ModelDescription, "source" | "family" | "shape" | "name">,
  form: LoraForm,
  base: LoraBase,
): string {
  const text = (value: string): string => stringify(value).trim();
  const rank = Number(form.rank);
  const isCausal = model.family === "gpt2";
  const targets = isCausal ? "[c_attn]" : "[query, value]";
  return `# Fine-tunes ${model.name} by LoRA: the model's own weights stay as they are${
    base === "fp32" ? "" : ", kept in bf16"
  }, and small matrices beside
# its attention layers are trained. They can be merged into the weights when exported.
format_version: 1
run_name: ${text(form.name.trim())}
seed: 17
max_seq_len: ${Math.min(WINDOW_TOKENS, model.shape.context)}
model:
  name: ${modelNames[model.family]}
  init_from: ${text(model.source)}
  weights: ${base}
  # alpha scales what the adapters add, by alpha / rank; twice the rank is usual.
  lora: { rank: ${rank}, alpha: ${2 * rank}, dropout: 0.05, targets: ${targets} }
data: { train: ${text(form.data)}, eval: { fraction: 0.05 }, shuffle_seed: 17 }
objective: { name: ${isCausal ? "clm" : "mlm"} }
# Adapters take a higher rate than whole weights, and no weight decay.
optimizer: { name: decoupled_adamw, lr: 2.0e-4, betas: [0.9, 0.999], eps: 1.0e-8, weight_decay: 0.0 }
scheduler: { name: cosine_with_warmup, t_warmup: 10ba, alpha_f: 0.1 }
gradient_clipping: 1.0
max_duration: 1ep
global_train_batch_size: 8
device_train_microbatch_size: auto
precision: ${base === "fp32" ? "fp32" : "amp_bf16"}
log_interval: 1ba
eval_interval: 50ba
save_interval: 100ba
save_num_checkpoints_to_keep: 2
`;
}
