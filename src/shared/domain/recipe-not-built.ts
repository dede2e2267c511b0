// What the recipe format will hold and this version cannot do yet, so that a recipe written for it gets a true sentence
// and not "unknown". An entry goes when the schema in recipe.ts accepts its value.

export type NotBuilt = {
  /** Key path; `*` stands for any list index. */
  readonly path: string;
  /** Which values; absent where the key itself is not built. */
  readonly matches?: (value: unknown) => boolean;
  /** What serves today. */
  readonly instead: string;
};

const isText = (pattern: RegExp) => (value: unknown) => typeof value === "string" && pattern.test(value);

/** An address of a kind that is not read. */
const isOtherAddress = isText(/^(?!(?:https?|s3):)[a-z][a-z0-9+.-]*:\/\//i);
const readableAddresses = "give an https:// or s3:// address of a folder of MDS shards, or copy the data here";

export const notBuilt: readonly NotBuilt[] = [
  { path: "device", matches: isText(/^(gpu|mps)(:\d+)?$/), instead: "use cpu, cuda:0 or auto" },
  { path: "precision", matches: isText(/^(amp_)?(fp16|fp8|float16)$/), instead: "use amp_bf16 or fp32" },
  {
    path: "tokenizer.train.type",
    matches: isText(/^(sentencepiece|char-bpe|word-level)$/),
    instead: "use byte-bpe, wordpiece or unigram",
  },
  {
    path: "objective.name",
    matches: isText(/^(multiple-choice|token-classification|sequence-classification|span-qa|prompted-generation)$/),
    instead: "use clm, mlm or mlm+sop",
  },
  {
    path: "scheduler.name",
    matches: isText(/^(constant_with_warmup|linear_decay_with_warmup|inv_sqrt_with_warmup)$/),
    instead: "use cosine_with_warmup",
  },
  { path: "launch.target", matches: isText(/^(ssh|slurm)$/), instead: "use local" },
  { path: "launch.host", instead: "use launch: {target: local}" },
  { path: "launch.nodes", instead: "use launch: {target: local}" },
  { path: "launch.gpus_per_node", instead: "use launch: {target: local}" },
  { path: "launch.time_limit", instead: "use launch: {target: local}" },
  { path: "launch.partition", instead: "use launch: {target: local}" },
  { path: "data.train", matches: isOtherAddress, instead: readableAddresses },
  { path: "data.train.*", matches: isOtherAddress, instead: readableAddresses },
  { path: "data.train.*.path", matches: isOtherAddress, instead: readableAddresses },
  {
    path: "data.train.*.weight",
    matches: (value) => typeof value === "number" && value !== 1,
    instead: "leave it out: each part is seen once a pass",
  },
  {
    path: "data.train.*.format",
    matches: isText(/^(parquet|xml|medline)$/),
    instead: "use txt, jsonl or mds",
  },
  { path: "data.eval", matches: isOtherAddress, instead: readableAddresses },
];

function pathMatches(pattern: string, path: string): boolean {
  const patternParts = pattern.split(".");
  const parts = path.split(".");
  return (
    parts.length === patternParts.length &&
    patternParts.every((part, index) => part === parts[index] || (part === "*" && /^\d+$/.test(parts[index] ?? "")))
  );
}

/** The sentence for a key or value of the format that this version cannot do; null where it is simply wrong. */
export function notBuiltSentence(path: string, value: unknown): string | null {
  for (const entry of notBuilt) {
    if (!pathMatches(entry.path, path)) {
      continue;
    }
    if (entry.matches === undefined) {
      return `${path} is not built yet in this version; ${entry.instead}.`;
    }
    if (entry.matches(value)) {
      return `${path} ${String(value)} is not built yet in this version; ${entry.instead}.`;
    }
  }
  return null;
}
