// assay eval --task lm: held-out loss, perplexity and bits per byte of a checkpoint on any text.
import { writeFile } from "node:fs/promises";
import { readDevice } from "#core/engine/device";
import { evaluateTexts } from "#core/evaluate/language-model";
import { loadModel } from "#core/models/load";
import { workspacePath } from "#core/paths";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatCount, Progress, say, sayJson } from "../output.ts";

export const evalCommand: CommandSpec = {
  name: "eval",
  summary: "evaluate a checkpoint on held-out text (--task lm: loss, perplexity, bits per byte)",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    model: { type: "string", value: "DIR|RUN", help: "a checkpoint folder or a run (its newest checkpoint)" },
    task: { type: "string", value: "lm", help: "the task; lm is the only one today" },
    data: { type: "string", multiple: true, value: "PATH", help: "folder, glob, .txt, .jsonl or .jsonl.gz" },
    stride: {
      type: "string",
      value: "N",
      help: "tokens from one window to the next (default: the context, no overlap)",
    },
    device: { type: "string", value: "DEVICE", help: "cpu, cuda:0 or auto: a GPU where one can be used (default)" },
    threads: { type: "string", value: "N", help: "threads (default: the physical cores)" },
    out: { type: "string", value: "FILE", help: "write the result as JSON there too" },
  },
  run: async (call) => {
    const source = call.text("model");
    const data = call.texts("data");
    const task = call.text("task") ?? "lm";
    if (source === undefined || data.length === 0) {
      throw badRequest("`assay eval` needs --model DIR|RUN, --task lm and --data PATH.");
    }
    if (task !== "lm") {
      throw badRequest(`--task ${task} is not built yet; lm is.`);
    }
    const stride = call.number("stride", { min: 1, integer: true });
    const threads = call.number("threads", { min: 1, max: 1024, integer: true });
    const loaded = await loadModel(source, {
      workspace: workspacePath(call.workspace),
      device: readDevice(call.text("device") ?? "auto"),
      ...(threads === undefined ? {} : { threads }),
    });
    try {
      const progress = new Progress("evaluating", "bytes");
      const result = await evaluateTexts(loaded, {
        inputs: data,
        ...(stride === undefined ? {} : { stride }),
        onProgress: (done, total) => progress.update(done, total),
      });
      progress.end(`${formatCount(result.documents)} documents`);
      const report = {
        task,
        model: source,
        data,
        metrics: { loss: result.loss, perplexity: result.perplexity, bits_per_byte: result.bitsPerByte },
        documents: result.documents,
        tokens: result.tokens,
        bytes: result.bytes,
      };
      const out = call.text("out");
      if (out !== undefined) {
        await writeFile(out, `${JSON.stringify(report, null, 2)}\n`);
      }
      if (call.json) {
        sayJson(report);
        return;
      }
      say(`loss           ${result.loss.toFixed(4)} nats/token`);
      say(`perplexity     ${result.perplexity.toFixed(3)}`);
      say(`bits per byte  ${result.bitsPerByte.toFixed(4)}`);
      say(
        `on ${formatCount(result.documents)} documents, ${formatCount(result.tokens)} tokens, ${formatCount(result.bytes)} bytes`,
      );
    } finally {
      loaded.model.dispose();
    }
  },
};
