// assay tokenizer train | inspect.
import { workspacePath } from "#core/paths";
import { inspectText } from "#core/tokenizer/inspect";
import { loadTokenizer } from "#core/tokenizer/load";
import { readTerms } from "#core/tokenizer/term-lists";
import { saveTokenizer, trainableTypes, trainTokenizer } from "#core/tokenizer/train";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatBytes, formatCount, formatSeconds, Progress, say, sayJson, table } from "../output.ts";

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
    if (vocabSize === undefined || inputs.length === 0 || out === undefined) {
      throw badRequest("`assay tokenizer train` needs --vocab-size N, --input PATH and --out DIR.");
    }
    let progress = new Progress("reading", "bytes");
    let phase = "reading";
    const { tokenizer, report } = await trainTokenizer({
      type,
      vocabSize,
      minFrequency,
      inputs,
      lowercase: call.flag("lowercase"),
      isMasked: call.flag("masked"),
      protectedWords: protect === undefined ? [] : await readTerms(protect),
      onProgress: (state) => {
        if (state.phase !== phase) {
          progress.end("done");
          phase = state.phase;
          progress = new Progress(phase, phase === "reading" ? "bytes" : "merges");
        }
        progress.update(state.done, state.total);
      },
    });
    progress.end("done");
    await saveTokenizer(tokenizer, out);
    if (call.json) {
      sayJson({ out, ...report });
      return;
    }
    say(
      `${formatCount(report.vocabSize)} tokens from ${formatBytes(report.bytes)} of text ` +
        `(${formatCount(report.words)} words, ${formatCount(report.distinctWords)} different) in ${formatSeconds(report.seconds)}: ${out}`,
    );
  },
};

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
