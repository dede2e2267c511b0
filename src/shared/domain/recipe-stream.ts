// Which recipes train from a stream of shards, and what a stream cannot do. Pure, so that the editor and the command line say
// the same before anything is fetched; what only the files can tell (pre-tokenized shards) asks again with `isStream`.
import type { Recipe } from "./recipe.ts";
import type { RecipeFinding } from "./recipe-check.ts";
import { parseDuration } from "./recipe-duration.ts";

type Data = Recipe["data"];

/** s3://bucket/… and its like. */
export function isAddress(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}

/** What can be read without being here. */
export function isReadableAddress(text: string): boolean {
  return /^(https?|s3):\/\/[^/]/i.test(text);
}

/** The places that the training text lies at, in their order. */
export function trainLocations({ train }: Pick<Data, "train">): readonly string[] {
  const parts = typeof train === "string" ? [train] : train;
  return parts.map((part) => (typeof part === "string" ? part : part.path));
}

/** Whether the recipe alone says that training streams; `auto` leaves pre-tokenized shards of this machine to be found. */
export function isStream(data: Pick<Data, "train" | "streaming">): boolean {
  return data.streaming.enabled === true || trainLocations(data).some(isAddress);
}

const fileOfOtherKind = /\.(txt|jsonl?|csv|tsv|parquet|xml|tar|zip|mds)(\.(gz|zst|bz2|xz))?$|\.(gz|zst|tgz)$|[*?]/i;

function error(path: readonly string[], message: string, suggestion: string | null = null): RecipeFinding {
  return { path, severity: "error", message, suggestion };
}

/** Of an address that by its name cannot be a folder of shards. */
function isOtherFile(location: string): boolean {
  return isAddress(location) && fileOfOtherKind.test(location.replace(/[?#].*$/, ""));
}

function notShards(at: readonly string[], location: string): RecipeFinding {
  return error(
    at,
    `${at.join(".")} ${location} is not a folder of MDS shards, and only such are read from an address; bring the text here with \`assay corpus import\` first, or make shards of it with \`assay corpus shard\` and name their folder.`,
  );
}

/** Held-out text may lie at an address whether training streams or not. */
export function evalAddressFindings({ eval: held }: Pick<Data, "eval">): readonly RecipeFinding[] {
  return typeof held === "string" && isOtherFile(held) ? [notShards(["data", "eval"], held)] : [];
}

function checkSources({ train, streaming }: Data): readonly RecipeFinding[] {
  const findings: RecipeFinding[] = [];
  const parts = typeof train === "string" ? [train] : train;
  for (const [index, part] of parts.entries()) {
    const location = typeof part === "string" ? part : part.path;
    const at = ["data", "train", ...(typeof train === "string" ? [] : [String(index)])];
    const where = at.join(".");
    if (isOtherFile(location)) {
      findings.push(notShards(at, location));
    } else if (typeof part !== "string" && (part.format === "txt" || part.format === "jsonl")) {
      findings.push(
        error(
          [...at, "format"],
          `${where}.format ${part.format} cannot be streamed, only folders of MDS shards can; make them with \`assay corpus shard\`.`,
          "mds",
        ),
      );
    }
  }
  if (streaming.enabled === false && parts.some((part) => isAddress(typeof part === "string" ? part : part.path))) {
    findings.push(
      error(
        ["data", "streaming", "enabled"],
        "data.streaming.enabled is false and data.train is an address, which is always streamed; leave the key out, or bring the text here with `assay corpus import`.",
        "auto",
      ),
    );
  }
  return findings;
}

/** What a recipe whose training streams asks for in vain. */
export function streamFindings(recipe: Recipe): readonly RecipeFinding[] {
  const { data, tokenizer, scheduler } = recipe;
  const findings = [...checkSources(data)];
  if (typeof data.eval !== "string") {
    findings.push(
      error(
        ["data", "eval"],
        `data.eval is the fraction ${data.eval.fraction} of the training text, which a stream never sees whole; give the held-out text by its path or address.`,
      ),
    );
  }
  const durations = [
    [["max_duration"], recipe.max_duration],
    [["scheduler", "t_warmup"], scheduler.t_warmup],
    [["eval_interval"], recipe.eval_interval],
    [["save_interval"], recipe.save_interval],
  ] as const;
  for (const [path, text] of durations) {
    const { value, unit } = parseDuration(text);
    if (unit === "ep" && value > 0) {
      const others =
        path[0] === "max_duration" ? "steps (ba), tokens (tok) or seconds (sec)" : "steps (ba) or tokens (tok)";
      findings.push(
        error(
          path,
          `${path.join(".")} ${text} counts passes, and the length of a stream is known only once it was read; give it in ${others}.`,
        ),
      );
    }
  }
  if (tokenizer.train !== undefined) {
    findings.push(
      error(
        ["tokenizer", "train"],
        "tokenizer.train reads the whole training text before the first step, which a stream is there to avoid; train one first with `assay tokenizer train` and name it in tokenizer.path.",
      ),
    );
  }
  return findings;
}
