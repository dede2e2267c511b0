// The whole lint of a model and a tokenizer, its own or another: what the files say, then a text there and back. What the
// window's Models view and `assay tokenizer lint` ask for.

import type { LintFinding } from "#shared/domain/model";
import { AppError } from "#shared/errors";
import { loadTokenizer } from "../tokenizer/load.ts";
import { describeModel } from "./describe.ts";
import { lintTokenizer } from "./lint.ts";
import { LINT_SAMPLE, openedFindings } from "./lint-opened.ts";
import { ownFindings } from "./lint-vocabulary.ts";
import type { TokenizerFacts } from "./tokenizer-facts.ts";

export type Fit = {
  readonly model: string;
  /** The file its facts were read from; empty where the model has none of its own. */
  readonly tokenizer: string;
  readonly findings: readonly LintFinding[];
};

const rank = { error: 0, warning: 1, note: 2 } as const;

/** What the tokenizer, once open, does with a text; a tokenizer that cannot be opened is a finding. */
async function opened(
  source: string,
  config: { readonly vocabSize: number },
  options: { readonly workspace: string; readonly text: string },
): Promise<readonly LintFinding[]> {
  try {
    return openedFindings(await loadTokenizer(source, options), config, options.text);
  } catch (error) {
    if (!(error instanceof AppError)) {
      throw error;
    }
    return [{ code: "TOKENIZER_NOT_OPENED", severity: "error", message: error.message }];
  }
}

/** `tokenizer` null: the model's own. */
export async function lintFit(options: {
  readonly model: string;
  readonly tokenizer: string | null;
  readonly workspace: string;
  readonly text?: string | undefined;
}): Promise<Fit> {
  const { workspace } = options;
  const own = await describeModel(options.model, { workspace });
  const described =
    options.tokenizer === null ? own : await describeModel(options.model, { workspace, tokenizer: options.tokenizer });
  const facts: TokenizerFacts | null = described.tokenizerFacts;
  if (facts === null) {
    const missing = described.findings.filter(({ code }) => code === "TOKENIZER_MISSING");
    return { model: described.source, tokenizer: "", findings: missing };
  }
  const another =
    own.tokenizerFacts === null || options.tokenizer === null ? [] : ownFindings(own.tokenizerFacts, facts);
  const byFiles = lintTokenizer(described.config, described.special, facts);
  const isTooLarge = byFiles.some(({ code }) => code === "VOCABULARY_TOO_LARGE_FOR_MODEL");
  const findings = [
    ...byFiles,
    ...another,
    ...(await opened(options.tokenizer ?? facts.source, described.config, {
      workspace,
      text: options.text ?? LINT_SAMPLE,
    })),
  ]
    // The sizes have said it already.
    .filter(({ code }) => !isTooLarge || (code !== "ID_BEYOND_MODEL" && code !== "SIZE_DIFFERS_FROM_OWN"))
    .toSorted((a, b) => rank[a.severity] - rank[b.severity]);
  return { model: described.source, tokenizer: facts.source, findings };
}
