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
that come with the program from anywhere. In \`--set\` they start at the current folder. A run keeps them absolute.

**Documents** are held out by a hash: the first 48 bits of the SHA-256 of the document's id (field \`id\`, else \`pmid\`,
else the file's name within the corpus and the line), as a number from 0 to below 1, are compared with \`data.eval.fraction\`.

## What is checked between keys

- \`model.n_heads\` divides \`model.d_model\`, and \`device_train_microbatch_size\` divides \`global_train_batch_size\`.
- \`tokenizer\` holds either \`train\` or \`path\`. \`model.vocab_size\`, where given, is the tokenizer's.
- \`scheduler.t_warmup\` is not longer than \`max_duration\`.
- \`optimizer.weight_decay\` from 1.0e-3 is remarked on: it is decoupled from \`lr\`.

## \`--set key.sub=value\`

Changes a key for one run; the value is YAML, as in OmegaConf's dot-lists. Setting \`tokenizer.path\` takes
\`tokenizer.train\` away, and the other way round.

## Resolved

A run directory's \`recipe.yaml\` has every \`auto\` replaced by what was found: \`device\`, \`threads\` (one for each core),
\`device_train_microbatch_size\` (the largest divisor of the global batch up to 16 whose activations fit a quarter of the
memory) and \`model.vocab_size\`. Resume goes by these.

## Not built yet

These keys or some of their values belong to the format and are refused by this version with a sentence that says what
serves instead: ${paths.map((each) => `\`${each}\``).join(", ")}.

## Other versions

A \`format_version\` other than 1 is refused (\`FORMAT_VERSION_UNKNOWN\`). An unknown key is an error that names its line and
the nearest right key, never ignored.
`;
}
