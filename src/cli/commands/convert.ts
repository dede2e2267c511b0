// assay convert: a model from any format the engine reads into one that others read, compared with its source before it
// says done; with --check only what the model is, and whether its tokenizer belongs to it.
import path from "node:path";
import process from "node:process";
import { type DescribedModel, describeModel } from "#core/models/describe";
import { type ExportFormat, type ExportType, exportModel } from "#core/models/export";
import { workspacePath } from "#core/paths";
import { badRequest, type CommandCall, type CommandSpec } from "../arguments.ts";
import { faint, formatBytes, formatCount, note, Progress, say, sayJson } from "../output.ts";
import { readSize } from "../size.ts";

const formats = ["safetensors", "gguf", "peft"] as const satisfies readonly ExportFormat[];
const types = ["f32", "f16", "bf16", "q8_0"] as const satisfies readonly ExportType[];

function choice<T extends string>(call: CommandCall, name: string, choices: readonly T[]): T | undefined {
  const value = call.text(name);
  const chosen = choices.find((each) => each === value);
  if (value !== undefined && chosen === undefined) {
    throw badRequest(`--${name} takes ${choices.join(", ")}, not "${value}".`);
  }
  return chosen;
}

function sayDescription(model: DescribedModel): void {
  const { shape, parameters, publishedName, tokenizer } = model;
  const called = publishedName === null ? "" : ` (${publishedName})`;
  say(`${model.name}: ${model.architecture}, ${formatCount(parameters.value)} parameters${called}`);
  say(
    `  ${shape.layers} layers, ${shape.width} wide, ${shape.heads} heads, ${shape.context} positions, ${formatCount(shape.vocabulary)} embedding rows`,
  );
  const stored = model.types.map((each) => `${each.dtype} ${formatBytes(each.sizeBytes)}`).join(", ");
  say(`  ${model.format}: ${model.tensors.length} tensors, ${stored}`);
  if (model.adapter !== null) {
    const { base, lora } = model.adapter;
    say(`  LoRA of rank ${lora.rank} on ${lora.targets.join(", ")}, over ${base}`);
  }
  say(
    tokenizer === null
      ? "  no tokenizer"
      : `  tokenizer: ${tokenizer.kind}, ${formatCount(tokenizer.vocabSize)} tokens (${tokenizer.source})`,
  );
  for (const { severity, message } of model.findings) {
    say(`${severity}: ${message}`);
  }
}

async function check(call: CommandCall, source: string): Promise<void> {
  const tokenizer = call.text("tokenizer");
  const model = await describeModel(source, {
    workspace: workspacePath(call.workspace),
    ...(tokenizer === undefined ? {} : { tokenizer }),
  });
  if (call.json) {
    const { config: _config, tokenizerFacts: _facts, special: _special, ...told } = model;
    sayJson(told);
  } else {
    sayDescription(model);
  }
  if (model.findings.some(({ severity }) => severity === "error")) {
    process.exitCode = 1;
  }
}

export const convertCommand: CommandSpec = {
  name: "convert",
  summary: "write a model for Transformers, llama.cpp or PEFT, read it back and compare; --check only looks at it",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    model: {
      type: "string",
      value: "DIR|RUN|FILE",
      help: "a model folder, a run, an adapter, a .gguf or other file of weights",
    },
    to: {
      type: "string",
      value: "FORMAT",
      help: "safetensors (for Transformers), gguf (for llama.cpp) or peft (an adapter alone)",
    },
    out: { type: "string", value: "PATH", help: "a folder that is not there yet, or with --to gguf a .gguf file" },
    type: { type: "string", value: "TYPE", help: "f32, f16, bf16 (safetensors), q8_0 (gguf); default f32" },
    "max-shard-size": { type: "string", value: "SIZE", help: "several safetensors of at most so much, such as 2GB" },
    "merge-adapter": { type: "boolean", help: "add a LoRA adapter to the weights it sits on" },
    check: { type: "boolean", help: "tell what the model is and whether its tokenizer fits; writes nothing" },
    tokenizer: { type: "string", value: "DIR|gpt2", help: "with --check: hold this tokenizer against the model" },
    threads: { type: "string", value: "N", help: "threads (default: the physical cores)" },
  },
  run: async (call) => {
    const source = call.text("model");
    if (source === undefined) {
      throw badRequest("`assay convert` needs --model DIR|RUN|FILE.");
    }
    if (call.flag("check")) {
      await check(call, source);
      return;
    }
    const format = choice(call, "to", formats);
    const out = call.text("out");
    if (format === undefined || out === undefined) {
      throw badRequest("`assay convert` needs --to safetensors|gguf|peft and --out PATH, or --check.");
    }
    const shard = call.text("max-shard-size");
    const threads = call.number("threads", { min: 1, max: 1024, integer: true });
    const interrupt = new AbortController();
    process.once("SIGINT", () => interrupt.abort());
    const progress = new Progress("convert", "bytes");
    const result = await exportModel(
      {
        source,
        format,
        type: choice(call, "type", types) ?? "f32",
        target: path.resolve(out),
        shardBytes: shard === undefined ? null : readSize(shard, "--max-shard-size"),
        mergeAdapter: call.flag("merge-adapter"),
      },
      {
        workspace: workspacePath(call.workspace),
        signal: interrupt.signal,
        onProgress: ({ phase, done, total }) => progress.update(done, total, phase),
        ...(threads === undefined ? {} : { threads }),
      },
    );
    progress.end("done");
    if (call.json) {
      sayJson(result);
      return;
    }
    for (const file of result.files) {
      say(`${formatBytes(file.sizeBytes).padStart(8)}  ${file.name}`);
    }
    if (result.unexpected.length > 0) {
      note(`Left out, since the model has no place for them: ${result.unexpected.join(", ")}`);
    }
    const { comparison } = result;
    say(
      `${result.path}: read back, logits of ${comparison.tokens} tokens within ${comparison.maxDifference.toExponential(1)} of the largest ${faint(`(${comparison.tolerance} allowed)`)}`,
    );
  },
};
