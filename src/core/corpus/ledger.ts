// The ledger of an import or a cleaning: one line for every document that was left out or changed, by rule, and a summary
// with counts and a few samples, so that what was done to a corpus can be shown.
import { type FileHandle, open } from "node:fs/promises";
import { asFileError, writeFileDurably } from "../runs/durable-file.ts";

export type LedgerEntry = {
  /** Such as no-text, superseded, near-duplicate. */
  readonly rule: string;
  readonly id: string;
  readonly action: "dropped" | "changed";
  /** Which file the document came from, where that is known. */
  readonly source?: string | undefined;
  /** What the rule found, in figures. */
  readonly detail: string;
  /** The text, or its beginning: kept in samples alone. */
  readonly text?: string | undefined;
};

export type LedgerSample = {
  readonly id: string;
  readonly source?: string;
  readonly detail: string;
  readonly excerpt?: string;
};

export type RuleSummary = {
  readonly rule: string;
  readonly action: LedgerEntry["action"];
  readonly documents: number;
  readonly samples: readonly LedgerSample[];
};

const SAMPLES = 5;
const EXCERPT_CHARACTERS = 400;
const FLUSH_CHARACTERS = 1 << 20;

/** The beginning of a text, cut between characters. */
export function excerptOf(text: string): string {
  if (text.length <= EXCERPT_CHARACTERS) {
    return text;
  }
  const cut = text.slice(0, EXCERPT_CHARACTERS);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** `X.jsonl` has its ledger in `X.ledger.jsonl` and the summary in `X.ledger.json`. */
export function ledgerPaths(output: string): { readonly entries: string; readonly summary: string } {
  const base = output.replace(/\.jsonl$/, "");
  return { entries: `${base}.ledger.jsonl`, summary: `${base}.ledger.json` };
}

export class LedgerWriter {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #rules = new Map<string, { action: LedgerEntry["action"]; documents: number; samples: LedgerSample[] }>();
  #lines: string[] = [];
  #characters = 0;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  static async create(file: string): Promise<LedgerWriter> {
    try {
      return new LedgerWriter(file, await open(file, "w"));
    } catch (error) {
      throw asFileError(error, `write ${file}`);
    }
  }

  async add(entry: LedgerEntry): Promise<void> {
    const { rule, id, action, source, detail, text } = entry;
    const key = `${action} ${rule}`;
    let known = this.#rules.get(key);
    if (known === undefined) {
      known = { action, documents: 0, samples: [] };
      this.#rules.set(key, known);
    }
    known.documents += 1;
    const named = source === undefined ? { id, detail } : { id, source, detail };
    if (known.samples.length < SAMPLES) {
      known.samples.push(text === undefined ? named : { ...named, excerpt: excerptOf(text) });
    }
    const line = `${JSON.stringify({ rule, action, ...named })}\n`;
    this.#lines.push(line);
    this.#characters += line.length;
    if (this.#characters >= FLUSH_CHARACTERS) {
      await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const text = this.#lines.join("");
    this.#lines = [];
    this.#characters = 0;
    try {
      await this.#handle.writeFile(text);
    } catch (error) {
      throw asFileError(error, `write ${this.#file}`);
    }
  }

  summary(): readonly RuleSummary[] {
    return [...this.#rules].map(([key, { action, documents, samples }]) => ({
      rule: key.slice(action.length + 1),
      action,
      documents,
      samples,
    }));
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
  }

  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
  }
}

/** The summary file: what was asked, what came of it, rule by rule. */
export async function writeLedgerSummary(file: string, facts: object, rules: readonly RuleSummary[]): Promise<void> {
  await writeFileDurably(file, `${JSON.stringify({ ...facts, rules }, null, 1)}\n`);
}
