// What a run's own recipe says about its model and where it came from, for the panel beside it. A recipe that cannot be
// read gives nothing rather than a guess.
import { parse } from "yaml";
import { isAddress } from "#shared/domain/recipe-stream";
import { formatCount } from "../../lib/format.ts";

export type RecipeFacts = {
  readonly model: readonly (readonly [string, string])[];
  /** From the text to the model, the oldest first. */
  readonly lineage: readonly { readonly name: string; readonly note: string; readonly path: string | null }[];
};

type Tree = Readonly<Record<string, unknown>>;

function branch(value: unknown, key: string): Tree {
  const below: unknown = typeof value === "object" && value !== null ? (value as Tree)[key] : undefined;
  // as: an object's keys are read one by one, and every value is checked before it is used.
  return typeof below === "object" && below !== null ? (below as Tree) : {};
}

const checkpointOfRun = /([^\\/]+)[\\/]checkpoints[\\/]step-(\d+)[\\/]?$/u;

function lastPart(path: string): string {
  const [, run, step] = checkpointOfRun.exec(path) ?? [];
  if (run !== undefined && step !== undefined) {
    // A run's folder is <date>-<time>-<name>-<4 hex>.
    return `${run.replace(/^\d{8}-\d{6}-/u, "").replace(/-[0-9a-f]{4}$/u, "")}, step ${formatCount(Number(step))}`;
  }
  return path.split(/[\\/]/u).findLast((part) => part !== "") ?? path;
}

const families: Readonly<Record<string, string>> = { gpt2: "GPT-2", bert: "BERT", megatron_bert: "Megatron-BERT" };

function modelFacts(recipe: Tree): (readonly [string, string])[] {
  const { name, n_layers: layers, d_model: width, n_heads: heads, dropout } = branch(recipe, "model");
  const context = recipe["max_seq_len"];
  const facts: (readonly [string, string])[] = [];
  if (typeof name === "string") {
    facts.push(["family", families[name] ?? name]);
  }
  if (typeof layers === "number" && typeof heads === "number") {
    facts.push(["layers × heads", `${layers} × ${heads}`]);
  }
  if (typeof width === "number") {
    facts.push(["width", formatCount(width)]);
  }
  if (typeof context === "number") {
    facts.push(["context", formatCount(context)]);
  }
  if (typeof dropout === "number" && dropout > 0) {
    facts.push(["dropout", String(dropout)]);
  }
  const precision = recipe["precision"];
  if (typeof precision === "string") {
    facts.push(["precision", precision]);
  }
  const lora = branch(branch(recipe, "model"), "lora");
  if (typeof lora["rank"] === "number") {
    const targets = Array.isArray(lora["targets"]) ? ` on ${lora["targets"].join(", ")}` : "";
    facts.push(["LoRA", `rank ${lora["rank"]}${targets}`]);
  }
  const { weights } = branch(recipe, "model");
  if (typeof weights === "string" && weights !== "fp32") {
    facts.push(["base kept in", weights]);
  }
  return facts;
}

/** The places of the text; those at addresses, which open nothing here, by their whole address. */
function textLineage({ train, streaming }: Tree): RecipeFacts["lineage"] {
  const parts: readonly unknown[] = Array.isArray(train) ? train : [train];
  return parts.flatMap((part): RecipeFacts["lineage"] => {
    const place: unknown = typeof part === "string" ? part : branch({ part }, "part")["path"];
    if (typeof place !== "string") {
      return [];
    }
    if (isAddress(place)) {
      return [{ name: place.replace(/[?#].*$/u, ""), note: "text, streamed", path: null }];
    }
    const isStreamed = branch({ streaming }, "streaming")["enabled"] === true;
    return [{ name: lastPart(place), note: isStreamed ? "text, streamed" : "text", path: place }];
  });
}

export function recipeFacts(text: string): RecipeFacts {
  let recipe: Tree;
  try {
    recipe = branch({ recipe: parse(text) as unknown }, "recipe");
  } catch {
    return { model: [], lineage: [] };
  }
  const tokenizer = branch(recipe, "tokenizer");
  const { vocab_size: vocabSize } = branch(tokenizer, "train");
  const tokenizerPath = tokenizer["path"];
  const lineage: RecipeFacts["lineage"][number][] = [];
  const { init_from: base } = branch(recipe, "model");
  if (typeof base === "string") {
    lineage.push({ name: lastPart(base), note: "its first weights", path: base });
  }
  lineage.push(...textLineage(branch(recipe, "data")));
  if (typeof vocabSize === "number") {
    lineage.push({
      name: "its own tokenizer",
      note: `byte-level BPE, up to ${formatCount(vocabSize)} pieces`,
      path: null,
    });
  } else if (typeof tokenizerPath === "string" && tokenizerPath !== base) {
    lineage.push({ name: lastPart(tokenizerPath), note: "tokenizer", path: tokenizerPath });
  }
  return { model: modelFacts(recipe), lineage };
}
