// The rules of a cleaning, as a YAML file gives them. What is not named keeps its default; null turns a rule off.
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { AppError } from "#shared/errors";
import { asFileError } from "../../runs/durable-file.ts";

const ratio = z.number().min(0).max(1);

export const cleanRulesSchema = z.strictObject({
  /** Sentences that publishers append; found at the end of a line, and removed. */
  boilerplate: z
    .strictObject({ builtin: z.boolean().default(true), phrases: z.array(z.string().min(3)).max(1000).default([]) })
    .nullable()
    .default({ builtin: true, phrases: [] }),
  length: z
    .strictObject({
      min_words: z.number().int().min(0).default(20),
      max_words: z.number().int().min(1).default(1_000_000),
    })
    .nullable()
    .default({ min_words: 20, max_words: 1_000_000 }),
  /** ISO 639-1 codes. Texts too short to tell are kept unless keep_undetermined is false. */
  language: z
    .strictObject({ keep: z.array(z.string().min(2).max(3)).min(1), keep_undetermined: z.boolean().default(true) })
    .nullable()
    .default(null),
  quality: z
    .strictObject({
      /** Characters that are neither letters, digits, blanks nor ordinary punctuation. */
      max_symbol_ratio: ratio.nullable().default(0.1),
      max_digit_ratio: ratio.nullable().default(0.3),
      /** Of characters in lines that were there before. */
      max_repeated_line_ratio: ratio.nullable().default(0.3),
      /** Of words in runs of five that were there before. */
      max_repeated_run_ratio: ratio.nullable().default(0.5),
      mean_word_length: z
        .tuple([z.number().min(0), z.number().min(0)])
        .nullable()
        .default([2.5, 14]),
    })
    .nullable()
    .default({
      max_symbol_ratio: 0.1,
      max_digit_ratio: 0.3,
      max_repeated_line_ratio: 0.3,
      max_repeated_run_ratio: 0.5,
      mean_word_length: [2.5, 14],
    }),
  exact_duplicates: z.boolean().default(true),
  near_duplicates: z
    .strictObject({
      /** Of the sets of runs of words: shared by both, of all in either. */
      similarity: z.number().min(0.5).max(1).default(0.8),
      run_words: z.number().int().min(1).max(20).default(5),
      keep: z.enum(["longest", "first"]).default("longest"),
    })
    .nullable()
    .default({ similarity: 0.8, run_words: 5, keep: "longest" }),
});

export type CleanRules = z.output<typeof cleanRulesSchema>;

export function readCleanRules(value: unknown, place: string): CleanRules {
  const parsed = cleanRulesSchema.safeParse(value ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.join(".")}`;
    throw new AppError(
      "BAD_ARGUMENT",
      `${place}${where}: ${issue?.message ?? "is no list of rules"}; docs/formats/corpus.md lists the rules.`,
    );
  }
  return parsed.data;
}

export async function loadCleanRules(file: string | null): Promise<CleanRules> {
  if (file === null) {
    return readCleanRules({}, "the rules");
  }
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw asFileError(error, `read ${file}`);
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "";
    throw new AppError("BAD_ARGUMENT", `${file} is not YAML: ${reason}`);
  }
  return readCleanRules(value, file);
}
