// docs/formats/recipe.md, made from the schema, so that the page cannot say something else than the checker does.
import { recipeJsonSchema } from "#shared/domain/recipe";
import { notBuilt } from "#shared/domain/recipe-not-built";
import { expectedAt } from "./schema-walk.ts";

type Node = {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Node[];
};

type Row = { readonly path: string; readonly takes: string; readonly fallback: string; readonly meaning: string };

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function shownDefault(node: Node, isRequired: boolean): string {
  return node.default === undefined ? (isRequired ? "required" : "–") : `\`${JSON.stringify(node.default)}\``;
}

function rowsOf(node: Node, path: readonly string[]): readonly Row[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const at = [...path, key];
    const isRequired = node.required?.includes(key) === true;
    const objects = [child, ...(child.anyOf ?? [])].filter((each) => each.properties !== undefined);
    const isGroup = child.properties !== undefined;
    const own: Row = {
      path: at.join("."),
      takes: isGroup ? "" : (expectedAt(at) ?? ""),
      fallback: isGroup && child.default !== undefined ? "" : shownDefault(child, isRequired),
      meaning: child.description ?? "",
    };
    return [own, ...objects.flatMap((each) => rowsOf(each, at))];
  });
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    (row) => `| \`${row.path}\` | ${cell(row.takes)} | ${cell(row.fallback)} | ${cell(row.meaning)} |`,
  );
  return ["| key | takes | default | |", "|---|---|---|---|", ...lines].join("\n");
}

/** The committed form of the JSON Schema. */
export function jsonSchemaFile(): string {
  return `${JSON.stringify(recipeJsonSchema(), null, 2)}\n`;
}

/** @param example the text of a preset, shown whole */
export function recipePage(example: string): string {
  const rows = rowsOf(recipeJsonSchema(), []);
  const paths = [...new Set(notBuilt.map((entry) => entry.path.replaceAll(".*", "")))];
  return `<!-- Made by \`npx tsx scripts/generate-recipe-docs.ts\` from src/shared/domain/recipe.ts; change it there. -->
# Recipe

A YAML file that says everything about a run. Spelling follows llm-foundry. The editor completes and explains keys from
[resources/recipe.schema.json](../../resources/recipe.schema.json), made from the same schema as this page.

\`\`\`yaml
${example.trimEnd()}
\`\`\`

## Keys

${table(rows)}

**Durations** are a number and a unit: \`ba\` optimizer steps, \`ep\` passes over the training text, \`tok\` tokens, \`sec\`
seconds of training; \`300e9tok\` is a number too. A duration in tokens ends at the first step that reaches it.

**Paths** that are relative start at the recipe's folder, a preset's at the program's own; \`resources/…\` finds the files
that come with the program from anywhere; addresses stay as they are. In \`--set\` they start at the current folder. A run keeps them absolute.

**Documents** are held out by a hash: the first 48 bits of the SHA-256 of the document's id (field \`id\`, else \`pmid\`,
else the file's name within the corpus and the line), as a number from 0 to below 1, are compared with \`data.eval.fraction\`.

## What is checked between keys

- \`model.n_heads\` divides \`model.d_model\`, and \`device_train_microbatch_size\` divides \`global_train_batch_size\`.
- \`model.n_layers\`, \`n_heads\` and \`d_model\` are there, or \`model.init_from\`; what is given beside it is the model's.
- \`objective.name\` fits the family: \`clm\` for gpt2, \`mlm\` and \`mlm+sop\` for bert and megatron_bert. Keys of the other
  objectives, and \`samples.prompts\` of a masked model, are remarked on.
- \`tokenizer\` holds either \`train\` or \`path\`, or neither beside \`model.init_from\`. \`model.vocab_size\`, where given, is the
  tokenizer's; a model that is started from may have rows of padding beyond it.
- \`model.lora\` without \`model.init_from\` is remarked on; its \`targets\` name layers of the family, its \`rank\` is at most
  \`d_model\`. \`model.weights: bf16\` needs it. Beside it \`model.freeze\` and \`optimizer.state: 8bit\` are remarked on.
- Each pattern of \`model.freeze\` matches a tensor, and something is left to train.
- \`scheduler.t_warmup\` is not longer than \`max_duration\`.
- A recipe whose text streams (below) gives \`data.eval\` by a path, no duration in \`ep\`, and no \`tokenizer.train\`.
- \`optimizer.weight_decay\` from 1.0e-3 is remarked on: it is decoupled from \`lr\`.

## Streams

Text at an address (\`https://…\`, \`s3://bucket/…\`) is trained from as a stream: shards are fetched ahead, checked, tokenized on
the way and kept as tokens up to \`data.streaming.cache_limit\`. So are pre-tokenized shards wherever they lie, and with
\`data.streaming.enabled: true\` any folder of MDS shards. What a stream cannot know before it was read whole, the length of a
pass and a share of its documents, cannot be asked of it. A resume may change \`cache_limit\` and \`predownload\`, not the order
of the text, which \`shuffle_seed\` and \`shuffle_block_shards\` give ([data-order.md](data-order.md)). How to set one up:
[stream-from-s3.md](../how-to/stream-from-s3.md).

## Starting from a model

\`model.init_from\` takes weights and nothing else: the optimizer is fresh and the step is 0. It names a folder with a
\`config.json\` and weights (safetensors, whole or in shards, or \`pytorch_model.bin\`), a run, whose newest checkpoint is
taken, or \`RUN@STEP\`. The run's recipe records the folder that was found. A head that the model lacks begins at random.
To go on with the optimizer as well, branch: \`assay train --from RUN@STEP\` ([run-directory.md](run-directory.md)).

With \`model.lora\` the model stays as it is, in fp32 or bf16, and two small matrices beside each targeted layer are trained.
Checkpoints then hold the adapter alone ([checkpoint.md](checkpoint.md)), and the run needs the model for as long as it goes on.

## Masked objectives

A window of \`max_seq_len\` is \`[CLS] text [SEP]\`, with \`mlm+sop\` \`[CLS] first [SEP] second [SEP]\`, half of the pairs swapped.
Of the tokens that are chosen 80 % become \`[MASK]\`, 10 % another token and 10 % stay; which, follows from seed, step and place.
A tokenizer trained for it gets \`[PAD]\`, \`[CLS]\`, \`[SEP]\`, \`[MASK]\` and, with the last id, \`<|endoftext|>\`; one that is loaded
must have them. With \`whole_word\` a word is a token that begins with white space or is punctuation, and the letters and
digits that follow.

## \`--set key.sub=value\`

Changes a key for one run; the value is YAML, as in OmegaConf's dot-lists. Setting \`tokenizer.path\` takes
\`tokenizer.train\` away, and the other way round.

## Resolved

A run directory's \`recipe.yaml\` has every \`auto\` replaced by what was found: \`device\`, \`threads\` (one for each core),
\`device_train_microbatch_size\` and \`model.vocab_size\`; and with \`model.init_from\` the shape. Resume goes by these.

The microbatch is the largest divisor of the global batch whose plan, which is the engine's own arithmetic, fits into 80 % of
the memory that is available then (\`MemAvailable\`, or what the container's limit leaves). Where the memory turns out not to be
there, the next divisor of at most half is tried; \`log.txt\` says so.

## Not built yet

These keys or some of their values belong to the format and are refused by this version with a sentence that says what
serves instead: ${paths.map((each) => `\`${each}\``).join(", ")}.

## Other versions

A \`format_version\` other than 1 is refused (\`FORMAT_VERSION_UNKNOWN\`). An unknown key is an error that names its line and
the nearest right key, never ignored.
`;
}
