// Every command, in the order the overview lists them.
import type { CommandSpec } from "./arguments.ts";
import { benchCommand } from "./commands/bench.ts";
import { controlCommands } from "./commands/control.ts";
import { convertCommand } from "./commands/convert.ts";
import { corpusCleanCommand, corpusScanCommand } from "./commands/corpus-clean.ts";
import { corpusImportCommand } from "./commands/corpus-import.ts";
import { corpusShardCommand } from "./commands/corpus-shard.ts";
import { corpusSplitCommand, corpusStatsCommand, corpusTraceCommand } from "./commands/corpus-stats.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evalCommand } from "./commands/evaluate.ts";
import { fetchCommand } from "./commands/fetch.ts";
import { generateCommand } from "./commands/generate.ts";
import { planCommand } from "./commands/plan.ts";
import { quickstartCommand } from "./commands/quickstart.ts";
import { runsListCommand, runsShowCommand } from "./commands/runs.ts";
import { tokenizerInspectCommand, tokenizerTrainCommand } from "./commands/tokenizer.ts";
import { tokenizerCompareCommand } from "./commands/tokenizer-compare.ts";
import { tokenizerConvertCommand } from "./commands/tokenizer-convert.ts";
import { tokenizerExplainCommand } from "./commands/tokenizer-explain.ts";
import { tokenizerAlignCommand, tokenizerVocabularyCommand } from "./commands/tokenizer-laboratory.ts";
import { tokenizerLintCommand } from "./commands/tokenizer-lint.ts";
import { tokenizerSavingsCommand } from "./commands/tokenizer-savings.ts";
import { resumeCommand, trainCommand } from "./commands/train.ts";

export const commands: readonly CommandSpec[] = [
  quickstartCommand,
  planCommand,
  trainCommand,
  resumeCommand,
  ...controlCommands,
  runsListCommand,
  runsShowCommand,
  corpusImportCommand,
  corpusCleanCommand,
  corpusScanCommand,
  corpusStatsCommand,
  corpusSplitCommand,
  corpusTraceCommand,
  corpusShardCommand,
  tokenizerTrainCommand,
  tokenizerInspectCommand,
  tokenizerConvertCommand,
  tokenizerCompareCommand,
  tokenizerAlignCommand,
  tokenizerExplainCommand,
  tokenizerVocabularyCommand,
  tokenizerSavingsCommand,
  tokenizerLintCommand,
  evalCommand,
  generateCommand,
  convertCommand,
  fetchCommand,
  benchCommand,
  doctorCommand,
];
