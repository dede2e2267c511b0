// What a tokenizer's own files say against each other, and where its added and last tokens stand: part of the lint against
// a model.
import type { LintFinding } from "#shared/domain/model";
import type { NativeModelConfig } from "../engine/addon.ts";
import type { TokenizerFacts } from "./tokenizer-facts.ts";

const grouped = (value: number): string => value.toString().replace(/\B(?=(\d{3})+$)/g, " ");

const NAMED_TOKENS = 4;

function addedFindings(config: NativeModelConfig, tokenizer: TokenizerFacts): LintFinding[] {
  const added = Object.entries(tokenizer.added ?? {});
  const beyond = added.filter(([, id]) => id >= config.vocabSize);
  const ownTokens = tokenizer.vocabSize - added.length;
  // Where its own vocabulary is too large as well, the sizes say so already.
  if (beyond.length === 0 || ownTokens > config.vocabSize) {
    return [];
  }
  const named = beyond.slice(0, NAMED_TOKENS).map(([text, id]) => `${text} (${grouped(id)})`);
  const more = beyond.length > named.length ? ` and ${grouped(beyond.length - named.length)} more` : "";
  return [
    {
      code: "ADDED_TOKENS_BEYOND_MODEL",
      severity: "error",
      message: `The tokenizer's own ${grouped(ownTokens)} tokens fit the model, but not those added to it: ${named.join(", ")}${more}; the model was made before they were added.`,
    },
  ];
}

function mergeFindings(tokenizer: TokenizerFacts): LintFinding[] {
  const missing = tokenizer.mergesWithoutToken ?? 0;
  return missing === 0
    ? []
    : [
        {
          code: "MERGES_WITHOUT_TOKENS",
          severity: "error",
          message: `${grouped(missing)} of its merges join or make pieces that its vocabulary has not: vocabulary and merges are of different tokenizers, or one was cut short.`,
        },
      ];
}

function endFindings(config: NativeModelConfig, tokenizer: TokenizerFacts): LintFinding[] {
  const end = tokenizer.special["<|endoftext|>"];
  const lastOwn = tokenizer.highestId - Object.values(tokenizer.added ?? {}).filter((id) => id !== end).length;
  if (config.head !== "causal-lm" || tokenizer.kind !== "byte-bpe" || end === undefined || end >= lastOwn) {
    return [];
  }
  return [
    {
      code: "END_OF_TEXT_NOT_LAST",
      severity: "note",
      message: `<|endoftext|> has the id ${grouped(end)}, not the last one as in GPT-2's and BioMedLM's vocabularies; text that was tokenized elsewhere may mean another.`,
    },
  ];
}

export function vocabularyFindings(config: NativeModelConfig, tokenizer: TokenizerFacts): LintFinding[] {
  return [...addedFindings(config, tokenizer), ...mergeFindings(tokenizer), ...endFindings(config, tokenizer)];
}

/** A tokenizer held against a model that has one of its own. */
export function ownFindings(own: TokenizerFacts, tokenizer: TokenizerFacts): LintFinding[] {
  const findings: LintFinding[] = [];
  if (own.kind !== tokenizer.kind) {
    findings.push({
      code: "KIND_DIFFERS_FROM_OWN",
      severity: "warning",
      message: `The model came with a tokenizer of another kind (${own.kind}, this one is ${tokenizer.kind}): the ids mean other pieces.`,
    });
  } else if (own.vocabSize !== tokenizer.vocabSize) {
    findings.push({
      code: "SIZE_DIFFERS_FROM_OWN",
      severity: "warning",
      message: `The model came with a tokenizer of ${grouped(own.vocabSize)} tokens, this one has ${grouped(tokenizer.vocabSize)}: the ids mean other pieces.`,
    });
  }
  if (own.lowerCases !== null && tokenizer.lowerCases !== null && own.lowerCases !== tokenizer.lowerCases) {
    findings.push({
      code: "CASE_DIFFERS_FROM_OWN",
      severity: "warning",
      message: tokenizer.lowerCases
        ? "The model's own tokenizer keeps capitals, this one lower-cases text: capitals that the model knows never reach it."
        : "The model's own tokenizer lower-cases text, this one keeps capitals: the model has not seen them.",
    });
  }
  return findings;
}
