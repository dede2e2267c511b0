// Whether a tokenizer belongs to a model: sizes, special ids, lengths, kinds, and the mix-ups that are known to happen.
// Pure, so that the window, the command line and a run's start say the same sentences.
import type { LintFinding } from "#shared/domain/model";
import type { NativeModelConfig } from "../engine/addon.ts";
import type { SpecialIds } from "./hugging-face/config-fields.ts";
import { vocabularyFindings } from "./lint-vocabulary.ts";
import type { TokenizerFacts } from "./tokenizer-facts.ts";

const grouped = (value: number): string => value.toString().replace(/\B(?=(\d{3})+$)/g, " ");

/** Vocabularies that are told by their size alone. */
const knownVocabularies: readonly {
  readonly kind: TokenizerFacts["kind"];
  readonly size: number;
  readonly whose: string;
}[] = [
  { kind: "byte-bpe", size: 50_257, whose: "GPT-2's tokenizer" },
  { kind: "byte-bpe", size: 28_896, whose: "BioMedLM's tokenizer" },
  { kind: "wordpiece", size: 30_522, whose: "BERT's uncased vocabulary" },
  { kind: "wordpiece", size: 28_996, whose: "BERT's cased vocabulary" },
];

function whose(kind: TokenizerFacts["kind"], size: number): string | null {
  return knownVocabularies.find((each) => each.kind === kind && each.size === size)?.whose ?? null;
}

function sizeFindings(config: NativeModelConfig, tokenizer: TokenizerFacts): LintFinding[] {
  const rows = config.vocabSize;
  const { vocabSize, highestId } = tokenizer;
  const needed = highestId + 1;
  const findings: LintFinding[] = [];
  if (needed !== vocabSize && needed > 0) {
    findings.push({
      code: "VOCABULARY_HAS_HOLES",
      severity: "warning",
      message: `The tokenizer has ${grouped(vocabSize)} tokens, but ids up to ${grouped(highestId)}: some ids stand for nothing.`,
    });
  }
  const its = whose(tokenizer.kind, vocabSize);
  const model = whose(config.family === "gpt2" ? "byte-bpe" : "wordpiece", rows);
  if (needed > rows) {
    const looks = its === null ? "The tokenizer" : `This is ${its}, which`;
    const belongs = model === null ? "" : `; ${grouped(rows)} rows are those of ${model}`;
    findings.push({
      code: "VOCABULARY_TOO_LARGE_FOR_MODEL",
      severity: "error",
      message: `${looks} has ids up to ${grouped(highestId)}, but the model only ${grouped(rows)} embedding rows${belongs}.`,
    });
  } else if (needed < rows) {
    const unused = rows - needed;
    const isPadding = rows % 8 === 0 && unused < 1024;
    const mixUp = its !== null && model !== null && its !== model;
    findings.push({
      code: isPadding && !mixUp ? "VOCABULARY_PADDED" : "VOCABULARY_SMALLER_THAN_MODEL",
      severity: isPadding && !mixUp ? "note" : "warning",
      message: mixUp
        ? `This is ${its}, but ${grouped(rows)} embedding rows are those of ${model}: the ids would mean other words.`
        : isPadding
          ? `The embedding has ${grouped(unused)} more rows than the tokenizer has tokens, as padding to a multiple of 8 leaves them.`
          : `The embedding has ${grouped(rows)} rows, the tokenizer ${grouped(vocabSize)} tokens: ${grouped(unused)} rows are never used, so it may be another model's tokenizer.`,
    });
  }
  return findings;
}

const kindNames: Readonly<Record<Exclude<TokenizerFacts["kind"], "other">, string>> = {
  "byte-bpe": "byte-level BPE, as GPT-2's",
  "character-bpe": "BPE over characters",
  wordpiece: "WordPiece, as BERT's",
  unigram: "unigram, as SentencePiece's",
  "word-level": "whole words alone",
};

function kindFindings(config: NativeModelConfig, tokenizer: TokenizerFacts): LintFinding[] {
  if (tokenizer.kind === "other") {
    return [
      {
        code: "TOKENIZER_KIND_UNKNOWN",
        severity: "error",
        message: `${tokenizer.source} is of a kind that the engine does not know: it has byte-level BPE, BPE over characters, WordPiece, unigram and whole words.`,
      },
    ];
  }
  const expected = config.family === "gpt2" ? "byte-bpe" : "wordpiece";
  if (tokenizer.kind === expected) {
    return [];
  }
  const usual =
    expected === "byte-bpe" ? "GPT-2 models are trained with byte-level BPE" : "BERT models are trained with WordPiece";
  return [
    {
      code: "TOKENIZER_KIND_UNUSUAL",
      severity: "warning",
      message: `The tokenizer is ${kindNames[tokenizer.kind]}, while ${usual}; make sure that this model was trained with it.`,
    },
  ];
}

function differs(code: string, role: string, inModel: number, inTokenizer: number, consequence: string): LintFinding {
  return {
    code,
    severity: "warning",
    message: `The model's config.json gives ${role} the id ${grouped(inModel)}, the tokenizer ${grouped(inTokenizer)}: ${consequence}.`,
  };
}

function specialFindings(config: NativeModelConfig, special: SpecialIds, tokenizer: TokenizerFacts): LintFinding[] {
  const findings: LintFinding[] = [];
  const rows = config.vocabSize;
  for (const [role, id] of [
    ["bos_token_id", special.bos],
    ["eos_token_id", special.eos],
    ["pad_token_id", special.pad],
    ["cls_token_id", special.cls],
    ["sep_token_id", special.sep],
    ["mask_token_id", special.mask],
  ] as const) {
    if (id !== null && id !== undefined && id >= rows) {
      findings.push({
        code: "SPECIAL_ID_OUT_OF_RANGE",
        severity: "error",
        message: `The model's ${role} is ${grouped(id)}, but its embedding has only ${grouped(rows)} rows.`,
      });
    }
  }
  const idOfRole = (role: string, fallback: string): number | undefined =>
    tokenizer.special[tokenizer.roles[role] ?? fallback];
  if (config.head === "causal-lm") {
    const end = idOfRole("eos_token", "<|endoftext|>");
    if (end === undefined) {
      findings.push({
        code: "END_OF_TEXT_MISSING",
        severity: "warning",
        message:
          "The tokenizer has no end-of-text token: documents run into each other, and generation ends at its length only.",
      });
    } else if (special.eos !== null && special.eos !== end) {
      findings.push(
        differs(
          "END_OF_TEXT_DIFFERS",
          "end-of-text",
          special.eos,
          end,
          "generation would not stop where the model ends a text",
        ),
      );
    }
  }
  if (config.family !== "gpt2" && tokenizer.kind === "wordpiece") {
    const needed =
      config.head === "masked-lm" || config.head === "pretraining"
        ? ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        : ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    const missing = needed.filter((text) => tokenizer.special[text] === undefined);
    if (missing.length > 0) {
      findings.push({
        code: "SPECIAL_TOKENS_MISSING",
        severity: "error",
        message: `The tokenizer lacks ${missing.join(", ")}, which a BERT needs.`,
      });
    }
  }
  for (const { role, what, fallback, id, consequence } of [
    {
      role: "pad_token",
      what: "padding",
      fallback: "[PAD]",
      id: special.pad,
      consequence: "padding would be read as a word",
    },
    {
      role: "cls_token",
      what: "the beginning, [CLS]",
      fallback: "[CLS]",
      id: special.cls,
      consequence: "the model would not find where a text begins",
    },
    {
      role: "sep_token",
      what: "the separator, [SEP]",
      fallback: "[SEP]",
      id: special.sep,
      consequence: "the model would not find where a text ends",
    },
    {
      role: "mask_token",
      what: "the mask",
      fallback: "[MASK]",
      id: special.mask,
      consequence: "masked words would look like another word",
    },
  ]) {
    const own = idOfRole(role, fallback);
    if (own !== undefined && id !== null && id !== undefined && id !== own) {
      findings.push(
        differs(role === "pad_token" ? "PADDING_DIFFERS" : "SPECIAL_ID_DIFFERS", what, id, own, consequence),
      );
    }
  }
  return findings;
}

function lengthFindings(config: NativeModelConfig, tokenizer: TokenizerFacts): LintFinding[] {
  const { maxLength } = tokenizer;
  if (maxLength === null || maxLength === config.maxSeqLen) {
    return [];
  }
  return maxLength > config.maxSeqLen
    ? [
        {
          code: "LENGTH_BEYOND_POSITIONS",
          severity: "warning",
          message: `The tokenizer allows ${grouped(maxLength)} tokens, but the model has ${grouped(config.maxSeqLen)} positions; longer texts are cut.`,
        },
      ]
    : [
        {
          code: "LENGTH_BELOW_POSITIONS",
          severity: "note",
          message: `The tokenizer stops at ${grouped(maxLength)} tokens, though the model has ${grouped(config.maxSeqLen)} positions.`,
        },
      ];
}

function caseFindings(tokenizer: TokenizerFacts): LintFinding[] {
  if (tokenizer.kind !== "wordpiece" || tokenizer.lowerCases === null) {
    return [];
  }
  if (tokenizer.lowerCases && tokenizer.hasCapitals) {
    return [
      {
        code: "CASE_LOST",
        severity: "warning",
        message:
          "The tokenizer lower-cases text, but its vocabulary has capitals that then never occur; set do_lower_case to false.",
      },
    ];
  }
  if (!tokenizer.lowerCases && !tokenizer.hasCapitals) {
    return [
      {
        code: "CASE_UNKNOWN_TO_VOCABULARY",
        severity: "warning",
        message:
          "The tokenizer keeps capitals, but its vocabulary has none: words with capitals fall apart; set do_lower_case to true.",
      },
    ];
  }
  return [];
}

const rank = { error: 0, warning: 1, note: 2 } as const;

/** Findings, the gravest first; none when tokenizer and model fit. */
export function lintTokenizer(
  config: NativeModelConfig,
  special: SpecialIds,
  tokenizer: TokenizerFacts,
): readonly LintFinding[] {
  return [
    ...kindFindings(config, tokenizer),
    ...sizeFindings(config, tokenizer),
    ...vocabularyFindings(config, tokenizer),
    ...specialFindings(config, special, tokenizer),
    ...lengthFindings(config, tokenizer),
    ...caseFindings(tokenizer),
  ].toSorted((a, b) => rank[a.severity] - rank[b.severity]);
}
