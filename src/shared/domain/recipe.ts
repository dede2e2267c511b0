// The recipe: a YAML file that says everything about a run. This one schema is the source of the types, of the JSON
// Schema the editor completes from (resources/recipe.schema.json), of docs/formats/recipe.md and of what the trainer
// reads. Spelling follows llm-foundry. Only what works is accepted; recipe-not-built.ts knows what is to come.
import { z } from "zod";
import { bytesPattern, readBytes } from "./recipe-bytes.ts";
import { type DurationUnit, durationPattern, readDuration } from "./recipe-duration.ts";
import { isAddress, isReadableAddress } from "./recipe-stream.ts";

export { type Duration, type DurationUnit, parseDuration } from "./recipe-duration.ts";

export const RECIPE_FORMAT_VERSION = 1;
export const END_OF_TEXT = "<|endoftext|>";

/** What each key takes, in words: the second half of the sentence that refuses a wrong value. */
export const expectations: z.core.$ZodRegistry<{ expects: string }> = z.registry<{ expects: string }>();

function documented<T extends z.ZodType>(schema: T, expects: string, description: string): T {
  const described = schema.describe(description);
  expectations.add(described, { expects });
  return described;
}

const LARGEST_SEED = Number.MAX_SAFE_INTEGER;

function whole(min: number, max: number, description: string) {
  const expects = max === LARGEST_SEED ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`;
  return documented(z.number().int().min(min).max(max), expects, description);
}

function fractionBelowOne(description: string) {
  return documented(z.number().min(0).lt(1), "a number from 0 to below 1", description);
}

function duration(units: readonly DurationUnit[], canBeZero: boolean, description: string) {
  const examples = { ba: "400ba (steps)", ep: "1ep (passes)", tok: "300e9tok (tokens)", sec: "3600sec (seconds)" };
  const expects = `a duration: ${units.map((unit) => examples[unit]).join(", ")}`;
  const schema = z
    .string()
    .regex(durationPattern(units))
    .refine((text) => {
      const read = readDuration(text);
      return read !== null && (canBeZero || read.value > 0);
    });
  return documented(schema, canBeZero ? expects : `${expects}, more than 0`, description);
}

const path = (expects: string, description: string) =>
  documented(
    z
      .string()
      .min(1)
      .refine((text) => !isAddress(text)),
    expects,
    description,
  );

const auto = z.literal("auto");

const lora = z.strictObject({
  rank: whole(1, 4096, "Rank of the two small matrices: `A` is (rank, in), `B` is (out, rank)."),
  alpha: documented(
    z.number().gt(0).max(65_536),
    "a number above 0, such as 16",
    "The adapter's output is multiplied by alpha / rank.",
  ).default(16),
  dropout: fractionBelowOne("Share of the adapter's input dropped in training.").default(0),
  targets: documented(
    z.array(z.string().min(1)).min(1),
    'a list of module names, such as ["c_attn", "c_proj"]',
    "The linear layers that get an adapter, by the end of their module's name as in PEFT. Where absent: `c_attn` for gpt2, `query` and `value` for bert and megatron_bert.",
  ).optional(),
});

const model = z.strictObject({
  name: documented(
    z.enum(["gpt2", "bert", "megatron_bert"]),
    "gpt2, bert or megatron_bert",
    "The family of the model: `gpt2`, a decoder with learned positions; `bert`, an encoder with layer norm after each residual; `megatron_bert`, the same with Megatron's order, layer norm before.",
  ),
  init_from: path(
    "a model folder, a run, or RUN@STEP",
    "Start from these weights, with a fresh optimizer: a folder with `config.json` and weights, a run (its newest checkpoint), or `RUN@STEP`. The shape is taken from it, and the tokenizer where `tokenizer` is left out.",
  ).optional(),
  n_layers: whole(1, 1024, "Transformer blocks. Needed unless `init_from` says.").optional(),
  n_heads: whole(
    1,
    1024,
    "Attention heads of a block; they divide `d_model` evenly. Needed unless `init_from` says.",
  ).optional(),
  d_model: whole(1, 65_536, "Width of the residual stream. Needed unless `init_from` says.").optional(),
  expansion_ratio: whole(1, 16, "Width of the feed-forward layer over `d_model`.").default(4),
  dropout: fractionBelowOne(
    "Share of activations dropped in training: of embeddings, attention weights and residual branches alike.",
  ).default(0),
  vocab_size: whole(
    257,
    16_777_216,
    "Rows of the embedding. Comes from the tokenizer where absent; where given, another size than the tokenizer's is an error.",
  ).optional(),
  lora: lora
    .describe(
      "Train low-rank adapters on frozen weights instead of the weights themselves; they merge into them afterwards.",
    )
    .optional(),
  freeze: documented(
    z.array(z.string().min(1)),
    'a list of glob patterns, such as ["transformer.wte.*", "transformer.h.0.*"]',
    "Glob patterns over tensor names that are not trained: they take no gradient and no optimizer memory.",
  ).default([]),
  weights: documented(
    z.enum(["fp32", "bf16"]),
    "fp32 or bf16",
    "How the frozen base under `lora` is kept in memory: `bf16` halves it. Everything that is trained stays fp32.",
  ).default("fp32"),
});

const tokenizer = z.strictObject({
  train: z
    .strictObject({
      type: documented(
        z.enum(["byte-bpe", "wordpiece", "unigram"]),
        "byte-bpe, wordpiece or unigram",
        "`byte-bpe`: byte-level BPE as GPT-2's. `wordpiece`: BERT's. `unigram`: SentencePiece's unigram language model.",
      ).default("byte-bpe"),
      vocab_size: whole(
        16,
        1_000_000,
        "Tokens in all, special ones included; byte-level BPE has at least the 256 bytes. End-of-text has the last id; a masked objective has [PAD], [CLS], [SEP] and [MASK], too.",
      ),
      min_frequency: whole(1, LARGEST_SEED, "No pair seen less often is merged; unigram has no merges.").default(2),
      lowercase: documented(
        z.boolean(),
        "true or false",
        "Of `wordpiece`: capitals and accents are taken away, as BERT uncased does.",
      ).default(false),
      protect: documented(
        z.array(z.string().min(1)),
        'a list of words, such as ["cytotoxicity", "probiotic"]',
        "Words of the field that become single tokens whatever their frequency.",
      ).default([]),
    })
    .describe("Train a tokenizer on the training text, once, before the first step.")
    .optional(),
  path: path(
    "a folder, a tokenizer.json, or gpt2",
    "Use this tokenizer: a folder, a `tokenizer.json`, or `gpt2`.",
  ).optional(),
});

const corpusPath = documented(
  z
    .string()
    .min(1)
    .refine((text) => !isAddress(text) || isReadableAddress(text)),
  "a folder, glob, .txt, .jsonl or .jsonl.gz, or the address of a folder of MDS shards",
  "A folder (read with its subfolders), a glob, a `.txt` (one document), a `.jsonl` or a `.jsonl.gz` (field `text`); or a folder of MDS shards at an address (`https://…`, `s3://bucket/…`).",
);

const streaming = z.strictObject({
  enabled: documented(
    z.union([auto, z.boolean()]),
    "auto, true or false",
    "Train from a stream of shards, tokenized on the way, instead of tokenizing the whole text first. Where absent, or `auto`: addresses and pre-tokenized shards; `true` also folders of MDS shards of this computer.",
  ).optional(),
  cache_limit: documented(
    z
      .string()
      .regex(bytesPattern)
      .refine((text) => (readBytes(text) ?? 0) > 0),
    "a size above 0 with its unit, such as 500mb or 20gb",
    "Bytes of tokens kept on this disk, so that a later pass does not fetch them again; units are kb, mb, gb and tb, powers of ten. Beyond it the shard that is needed last goes.",
  ).default("20gb"),
  predownload: whole(1, 4096, "Shards fetched ahead of those that are trained on, at most.").default(8),
  shuffle_block_shards: whole(
    1,
    65_536,
    "Shards whose windows are shuffled together: more mix better and must be here at once.",
  ).default(4),
  token_bytes: documented(
    z.union([z.literal(2), z.literal(4), z.literal(8)]),
    "2, 4 or 8",
    "Bytes of a token in pre-tokenized shards whose column is `bytes`; llm-foundry writes 8. An ndarray says it itself.",
  ).default(8),
});

const corpusPart = z.strictObject({
  path: corpusPath,
  format: documented(
    z.enum(["auto", "txt", "jsonl", "mds"]),
    "auto, txt, jsonl or mds",
    "How its files are read; `auto` goes by their names. `mds`: a folder of MDS shards of raw text, which `auto` knows by its index.json.",
  ).default("auto"),
  weight: documented(z.literal(1), "1", "How often the part is seen in a pass. Only 1 for now.").default(1),
});

const data = z.strictObject({
  train: documented(
    z.union([corpusPath, z.array(z.union([corpusPath, corpusPart])).min(1)]),
    "a folder, glob, .txt, .jsonl or .jsonl.gz, the address of a folder of MDS shards, or a list of such",
    "The training text: a folder (read with its subfolders), a glob, a `.txt` (one document), a `.jsonl` or a `.jsonl.gz` (field `text`), a folder of MDS shards here or at an address (`https://…`, `s3://bucket/…`), or a list of such. Relative paths start at the recipe's folder.",
  ),
  eval: documented(
    z.union([
      corpusPath,
      z.strictObject({
        fraction: documented(
          z.number().gt(0).lt(1),
          "a number between 0 and 1",
          "Share of the training documents held out, chosen by a hash of their ids: a document stays on its side when data grows.",
        ),
      }),
    ]),
    "a path, or {fraction: 0.05}",
    "The held-out text: a path as for `train`, or `{fraction: 0.05}` of the training documents.",
  ).default({ fraction: 0.05 }),
  streaming: streaming.describe("How training text that is streamed is fetched and kept.").prefault({}),
  shuffle_seed: whole(
    0,
    LARGEST_SEED,
    "Key of the data order, apart from `seed`, so that a study may vary either alone.",
  ).default(17),
});

const optimizer = z.strictObject({
  name: documented(
    z.enum(["decoupled_adamw"]),
    "decoupled_adamw",
    "`decoupled_adamw`, Composer's: every parameter is multiplied by 1 − weight_decay · lr_t / lr_0.",
  ).default("decoupled_adamw"),
  lr: documented(
    z.number().gt(0).max(10),
    "a number above 0, such as 1.0e-3",
    "The highest learning rate, reached after warm-up.",
  ),
  betas: documented(
    z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]),
    "two numbers from 0 to below 1, such as [0.9, 0.95]",
    "Decay of the running means of the gradient and of its square.",
  ).default([0.9, 0.95]),
  eps: documented(z.number().gt(0).max(1), "a number above 0, such as 1.0e-8", "Added after the square root.").default(
    1e-8,
  ),
  weight_decay: fractionBelowOne(
    "Share of each parameter taken away a step at the highest learning rate. Decoupled: it is not multiplied by `lr`, so values are near 1.0e-5.",
  ).default(1e-5),
  no_decay: documented(
    z.array(z.string().min(1)),
    'a list of glob patterns, such as ["*.bias", "*ln_*"]',
    "Glob patterns over tensor names that weight decay spares.",
  ).default([]),
  state: documented(
    z.enum(["fp32", "8bit"]),
    "fp32 or 8bit",
    "How the two running means are kept: `8bit` in blocks of 256 with a scale each, a quarter of the memory and nearly the same training.",
  ).default("fp32"),
  stochastic_rounding: documented(
    z.boolean(),
    "true or false",
    "On a GPU in `amp_bf16`: round the weights that products are taken of up or down by chance, exact on average, instead of to the nearest. Elsewhere it changes nothing.",
  ).default(false),
});

const objective = z.strictObject({
  name: documented(
    z.enum(["clm", "mlm", "mlm+sop"]),
    "clm, mlm or mlm+sop",
    "`clm`: predict the next token (gpt2). `mlm`: predict masked tokens (bert, megatron_bert). `mlm+sop`: also whether two neighbouring texts stand in their order.",
  ).default("clm"),
  document_mask: documented(
    z.boolean(),
    "true or false",
    "clm: attention and positions start anew at each document, so that neighbours in a window do not see each other.",
  ).default(false),
  mask_probability: documented(
    z.number().gt(0).lt(1),
    "a number between 0 and 1, such as 0.15",
    "mlm: share of tokens to predict. Of these 80 % become [MASK], 10 % another token, 10 % stay.",
  ).default(0.15),
  whole_word: documented(
    z.boolean(),
    "true or false",
    "mlm: choose whole words, all their pieces together, instead of single tokens.",
  ).default(false),
});

const scheduler = z.strictObject({
  name: documented(
    z.enum(["cosine_with_warmup"]),
    "cosine_with_warmup",
    "`cosine_with_warmup`: linear to `lr`, then half a cosine down to `alpha_f` · `lr` at `max_duration`.",
  ).default("cosine_with_warmup"),
  t_warmup: duration(["ba", "ep", "tok"], true, "Length of the warm-up.").default("0ba"),
  alpha_f: documented(
    z.number().min(0).max(1),
    "a number from 0 to 1",
    "The last learning rate over the highest.",
  ).default(0.1),
});

const samples = z.strictObject({
  prompts: documented(
    z.array(z.string()).max(100),
    'a list of texts, such as ["Background:"]',
    "Texts continued at every evaluation and kept in samples.jsonl.",
  ).default([]),
  max_new_tokens: whole(1, 4096, "Tokens generated for each prompt.").default(48),
});

const steps: readonly DurationUnit[] = ["ba", "ep", "tok"];

export const recipeSchema = z.strictObject({
  format_version: documented(z.literal(RECIPE_FORMAT_VERSION), "1", "Version of this format: 1.").default(
    RECIPE_FORMAT_VERSION,
  ),
  run_name: documented(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
    "a name of up to 64 letters, digits, dots, dashes and underscores",
    "Name of the run, part of its folder's name. Where absent it is the recipe file's name.",
  ).default("run"),
  seed: whole(0, LARGEST_SEED, "Seed of the first weights and of dropout.").default(17),
  max_seq_len: whole(8, 65_536, "Context: tokens the model sees at once."),
  device: documented(
    z.union([z.enum(["auto", "cpu"]), z.templateLiteral(["cuda:", z.number().int().min(0).max(255)])]),
    "auto, cpu or cuda:0",
    "Where it trains: `cpu`, or a GPU by its number. `auto` takes the first GPU where there is one that can be used, else the processor.",
  ).default("auto"),
  threads: documented(
    z.union([auto, z.number().int().min(1).max(1024)]),
    "auto, or a whole number from 1 to 1024",
    "Threads of the engine; `auto` is one for each core. The same number gives the same bits.",
  ).default("auto"),
  model: model.describe("The shape of the model."),
  tokenizer: tokenizer
    .describe("Either `train` or `path`; may be left out with `model.init_from`, whose own serves then.")
    .default({}),
  data: data.describe("The text."),
  objective: objective
    .describe("What is learned.")
    .default({ name: "clm", document_mask: false, mask_probability: 0.15, whole_word: false }),
  optimizer: optimizer.describe("How weights change."),
  scheduler: scheduler
    .describe("The learning rate over time.")
    .default({ name: "cosine_with_warmup", t_warmup: "0ba", alpha_f: 0.1 }),
  gradient_clipping: documented(
    z.number().gt(0).nullable(),
    "a number above 0, or null for none",
    "Gradients whose overall norm is larger are scaled down to it; `null` clips nothing.",
  ).default(1),
  max_duration: duration(
    ["ba", "ep", "tok", "sec"],
    false,
    "Length of the run. It ends at the first step that reaches it.",
  ),
  global_train_batch_size: whole(1, 1_048_576, "Windows of `max_seq_len` tokens in one optimizer step."),
  device_train_microbatch_size: documented(
    z.union([auto, z.number().int().min(1).max(1_048_576)]),
    "auto, or a whole number that divides global_train_batch_size",
    "Windows in memory at once; gradients are summed up to the global batch. `auto` takes the largest that fits into the free memory, and the run's recipe records it.",
  ).default("auto"),
  precision: documented(
    z.enum(["fp32", "amp_bf16"]),
    "fp32 or amp_bf16",
    "Number format of training: `amp_bf16` rounds the operands of matrix products to bfloat16 and sums in fp32; weights, optimizer and loss stay fp32.",
  ).default("fp32"),
  activation_checkpointing: documented(
    z.union([z.enum(["none", "selective", "full"]), z.boolean().transform((all) => (all ? "full" : "none"))]),
    "none, selective or full",
    "What the backward pass computes again instead of keeping it: `selective` what norms and the nonlinearity gave, a third less memory for hardly any arithmetic; `full` all but each block's input, much less memory for a third more arithmetic. `true` is full, `false` none.",
  ).prefault("none"),
  log_interval: duration(["ba"], false, "Steps between lines of metrics.jsonl.").default("1ba"),
  eval_interval: duration(
    steps,
    false,
    "Between evaluations on the held-out text; the first is at step 0, the last at the end.",
  ).default("50ba"),
  save_interval: duration(steps, false, "Between checkpoints; one is written at the end too.").default("100ba"),
  save_num_checkpoints_to_keep: whole(1, 10_000, "The newest checkpoints kept; the best one is kept besides.").default(
    3,
  ),
  samples: samples.describe("Text generated while training.").default({ prompts: [], max_new_tokens: 48 }),
  launch: z
    .strictObject({
      target: documented(z.enum(["local"]), "local", "`local`: this computer.").default("local"),
    })
    .describe("Where the run is started.")
    .default({ target: "local" }),
});

/** A recipe with every default filled in. It is plain data: written as YAML it reads back as itself. */
/** Where a model is: in a recipe that is resolved, and in the engine's options. */
export type Device = Exclude<Recipe["device"], "auto">;
/** What the backward pass computes again. */
export type Recompute = Recipe["activation_checkpointing"];
export type Recipe = z.output<typeof recipeSchema>;
export type RecipeInput = z.input<typeof recipeSchema>;
export type CorpusSource = Recipe["data"]["train"];

type ShapeKeys = { readonly n_layers: number; readonly n_heads: number; readonly d_model: number };

/** A recipe whose shape is known: written in it, or taken from `model.init_from`. */
export type ShapedRecipe = Omit<Recipe, "model"> & { readonly model: Recipe["model"] & ShapeKeys };

/** A recipe in which nothing is left open: this is what a run directory keeps, and what resume goes by. */
export type ResolvedRecipe = Omit<ShapedRecipe, "device" | "threads" | "device_train_microbatch_size" | "model"> & {
  readonly device: Device;
  readonly threads: number;
  readonly device_train_microbatch_size: number;
  readonly model: ShapedRecipe["model"] & { readonly vocab_size: number };
};

export function isShaped(recipe: Recipe): recipe is ShapedRecipe {
  const { n_layers, n_heads, d_model } = recipe.model;
  return n_layers !== undefined && n_heads !== undefined && d_model !== undefined;
}

/** What a preset writes where only its user can know: the path of the text to train on. */
export const PATH_TO_REPLACE = "path/to/your";

/** Draft 7, which editors' YAML services understand. */
export function recipeJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(recipeSchema, { io: "input", target: "draft-7" });
  return { ...schema, $id: "assay://recipe.schema.json", title: "Assay recipe" };
}
