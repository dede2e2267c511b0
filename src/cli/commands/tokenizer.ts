// assay tokenizer train | inspect.
import process from "node:process";
import { workspacePath } from "#core/paths";
import { forecastTraining, type TrainingForecast } from "#core/tokenizer/forecast";
import { inspectText } from "#core/tokenizer/inspect";
import { loadTokenizer } from "#core/tokenizer/load";
import { readTerms } from "#core/tokenizer/term-lists";
import { MEMORY_LIMIT_BYTES, saveTokenizer, trainableTypes, trainTokenizer } from "#core/tokenizer/train";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatBytes, formatCount, formatSeconds, note, Progress, say, sayJson, table } from "../output.ts";
import { readSize } from "../size.ts";

export const tokenizerTrainCommand: CommandSpec = {
  name: "tokenizer train",
  summary: "train a tokenizer on texts and write it as tokenizer.json, vocab.json and merges.txt",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    type: {
      type: "string",
      value: "TYPE",
      help: "byte-bpe (GPT-2's, the default), wordpiece (BERT's) or unigram (SentencePiece's)",
    },
    "vocab-size": { type: "string", value: "N", help: "tokens in all, end-of-text among them" },
    "min-frequency": { type: "string", value: "N", help: "merge no pair seen less often (default 2)" },
    input: {
      type: "string",
      multiple: true,
      value: "PATH",
      help: "folder, glob, .txt, .jsonl or .jsonl.gz (field `text`)",
    },
    lowercase: { type: "boolean", help: "wordpiece alone: capitals and accents go" },
    masked: { type: "boolean", help: "with [PAD], [CLS], [SEP] and [MASK] for masked language models" },
    protect: {
      type: "string",
      value: "FILE",
      help: "words, one a line, that become single tokens whatever their frequency",
    },
    memory: {
      type: "string",
      value: "SIZE",
      help: "what counting and learning may take (default 2147MB): beyond it counts go to a temporary file, and the rarest words are left out of learning",
    },
    forecast: { type: "boolean", help: "only say what time and memory it will take" },
    out: { type: "string", value: "DIR", help: "the folder to write" },
  },
  run: async (call) => {
    const given = call.text("type") ?? "byte-bpe";
    const type = trainableTypes.find((each) => each === given);
    const vocabSize = call.number("vocab-size", { min: 16, max: 1_000_000, integer: true });
    const minFrequency = call.number("min-frequency", { min: 1, integer: true }) ?? 2;
    const inputs = call.texts("input");
    const out = call.text("out");
    if (type === undefined) {
      throw badRequest(`--type ${given} is none of ${trainableTypes.join(", ")}.`);
    }
    const protect = call.text("protect");
    if (vocabSize === undefined || inputs.length === 0) {
      throw badRequest("`assay tokenizer train` needs --vocab-size N, --input PATH and --out DIR.");
    }
    const memory = call.text("memory");
    const training = {
      type,
      vocabSize,
      inputs,
      lowercase: call.flag("lowercase"),
      memoryLimitBytes: memory === undefined ? MEMORY_LIMIT_BYTES : readSize(memory, "--memory"),
    };
    const forecast = await forecastTraining(training);
    if (call.flag("forecast")) {
      if (call.json) {
        sayJson({ forecast });
      } else {
        say(forecastSentence(forecast, training.memoryLimitBytes));
      }
      return;
    }
    if (out === undefined) {
      throw badRequest("`assay tokenizer train` writes a tokenizer: name its folder with --out DIR.");
    }
    note(forecastSentence(forecast, training.memoryLimitBytes));
    let progress = new Progress("reading", "bytes");
    let phase = "reading";
    const { tokenizer, report } = await trainTokenizer({
      ...training,
      minFrequency,
      isMasked: call.flag("masked"),
      protectedWords: protect === undefined ? [] : await readTerms(protect),
      onProgress: (state) => {
        if (state.phase !== phase) {
          progress.end("done");
          phase = state.phase;
          progress = new Progress(phase, phase === "reading" ? "bytes" : phase === "pruning" ? "pieces" : "merges");
        }
        progress.update(state.done, state.total);
      },
    });
    progress.end("done");
    await saveTokenizer(tokenizer, out);
    const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
    if (call.json) {
      sayJson({ out, ...report, peakMemoryBytes, forecast });
      return;
    }
    say(
      `${formatCount(report.vocabSize)} tokens from ${formatBytes(report.bytes)} of text ` +
        `(${formatCount(report.words)} words, ${formatCount(report.distinctWords)} different) in ${formatSeconds(report.seconds)} ` +
        `(reading ${formatSeconds(report.readSeconds)}), ${formatBytes(peakMemoryBytes)} of memory at the peak: ${out}`,
    );
    if (report.wordsLeftOut > 0) {
      say(
        `${formatCount(report.wordsLeftOut)} words seen less than ${formatCount(report.minWordCount)} times were left out to learn within ${formatBytes(training.memoryLimitBytes)}; --memory SIZE allows more.`,
      );
    }
  },
};

/** What it will take, and what happens where that is more than allowed. */
function forecastSentence(forecast: TrainingForecast, memoryLimitBytes: number): string {
  const beyond = forecast.leavesWordsOut
    ? ` The rarest words will be left out to learn within ${formatBytes(memoryLimitBytes)}; --memory SIZE allows more.`
    : forecast.spills
      ? " Counts will go through a temporary file."
      : "";
  return (
    `about ${formatBytes(forecast.textBytes)} of text with ${formatCount(forecast.distinctWords)} different words, as its first ${formatBytes(forecast.sampledBytes)} tell: ` +
    `about ${formatSeconds(forecast.readSeconds + forecast.learnSeconds)} (reading ${formatSeconds(forecast.readSeconds)}) and ${formatBytes(forecast.memoryBytes)} of memory.${beyond}`
  );
}

export const tokenizerInspectCommand: CommandSpec = {
  name: "tokenizer inspect",
  summary: "the pieces of a text with ids and byte offsets",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    tokenizer: { type: "string", value: "DIR|FILE|gpt2", help: "which tokenizer" },
    text: { type: "string", value: "TEXT", help: "the text; no special tokens are added" },
  },
  run: async (call) => {
    const source = call.text("tokenizer");
    const text = call.text("text");
    if (source === undefined || text === undefined) {
      throw badRequest("`assay tokenizer inspect` needs --tokenizer DIR|FILE|gpt2 and --text TEXT.");
    }
    const tokenizer = await loadTokenizer(source, { workspace: workspacePath(call.workspace) });
    const tokens = inspectText(tokenizer, text);
    if (call.json) {
      sayJson({ tokens });
      return;
    }
    say(
      table(
        [{ title: "id", right: true }, { title: "bytes", right: true }, { title: "piece" }],
        tokens.map((token) => [String(token.id), `${token.start}–${token.end}`, JSON.stringify(token.piece)]),
      ),
    );
    say(`${tokens.length} tokens of ${Buffer.byteLength(text)} bytes`);
  },
};
