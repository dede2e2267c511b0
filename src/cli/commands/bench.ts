// assay bench train | tokenizer | infer | data: ours beside the peers, interleaved in one run; best and median shown.
import os from "node:os";
import { dataBench } from "#core/bench/data-bench";
import { inferBench } from "#core/bench/infer-bench";
import type { BenchRow } from "#core/bench/rows";
import { tokenizerBench } from "#core/bench/tokenizer-bench";
import { trainBench, trainBenchPrecisions, trainBenchShapes } from "#core/bench/train-bench";
import { loadAddon } from "#core/engine/addon";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { faint, note, say, sayJson, table } from "../output.ts";

const kinds = ["train", "tokenizer", "infer", "data"] as const;

function rate(value: number | null): string {
  if (value === null) {
    return "–";
  }
  return value >= 1000 ? Math.round(value).toString() : value.toPrecision(4);
}

function ratio(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}

export const benchCommand: CommandSpec = {
  name: "bench",
  summary:
    "measure ours beside the peers: train (PyTorch), tokenizer (Hugging Face, spm_train, tiktoken), infer (llama.cpp), data (NumPy)",
  operands: "train|tokenizer|infer|data",
  minOperands: 1,
  maxOperands: 4,
  options: {
    shape: {
      type: "string",
      multiple: true,
      value: "NAME",
      help: "train: bench-s, bench-m or gpt2-124m (default: all three)",
    },
    precision: { type: "string", multiple: true, value: "P", help: "train: fp32 or bf16 (default: both)" },
    rounds: { type: "string", value: "N", help: "interleaved rounds (default 3)" },
    threads: { type: "string", value: "N", help: "threads of either side (default: the physical cores)" },
    data: {
      type: "string",
      value: "PATH",
      help: "tokenizer, data: the text (default: the bundled sample, which is small)",
    },
  },
  run: async (call) => {
    for (const operand of call.operands) {
      if (!(kinds as readonly string[]).includes(operand)) {
        throw badRequest(`There is no benchmark "${operand}": it is one of ${kinds.join(", ")}.`);
      }
    }
    const shapes = call.texts("shape");
    const unknown = shapes.find((shape) => !(trainBenchShapes as readonly string[]).includes(shape));
    if (unknown !== undefined) {
      throw badRequest(`There is no shape "${unknown}": it is one of ${trainBenchShapes.join(", ")}.`);
    }
    const precisions = trainBenchPrecisions.filter((each) => call.texts("precision").includes(each));
    const wrong = call.texts("precision").find((each) => !(trainBenchPrecisions as readonly string[]).includes(each));
    if (wrong !== undefined) {
      throw badRequest(`There is no precision "${wrong}" to measure: it is one of ${trainBenchPrecisions.join(", ")}.`);
    }
    const machine = loadAddon().machine();
    const threads = call.number("threads", { min: 1, max: 1024, integer: true }) ?? machine.physicalCores;
    const rounds = call.number("rounds", { min: 1, max: 100, integer: true }) ?? 3;
    const data = call.text("data");
    const rows: BenchRow[] = [];
    if (call.operands.includes("tokenizer")) {
      rows.push(
        ...(await tokenizerBench({ ...(data === undefined ? {} : { data }), rounds, threads, onProgress: note })),
      );
    }
    if (call.operands.includes("train")) {
      rows.push(
        ...trainBench({
          shapes: shapes.length > 0 ? shapes : trainBenchShapes,
          precisions: precisions.length > 0 ? precisions : trainBenchPrecisions,
          rounds,
          threads,
          onProgress: note,
        }),
      );
    }
    const notes: string[] = [];
    if (call.operands.includes("infer")) {
      const infer = await inferBench({ rounds, threads, onProgress: note });
      rows.push(...infer.rows);
      notes.push(...infer.notes);
    }
    if (call.operands.includes("data")) {
      const measured = await dataBench({ ...(data === undefined ? {} : { data }), rounds, onProgress: note });
      rows.push(...measured.rows);
      notes.push(...measured.notes);
    }
    const about = `${machine.cpuModel}, ${threads} threads, ${machine.gemm} ${machine.onednnVersion ?? ""}, Node ${process.versions.node}, ${os.type()} ${os.release()}`;
    if (call.json) {
      sayJson({ rows, machine: about, ...(notes.length === 0 ? {} : { notes }) });
      return;
    }
    say(
      table(
        [
          { title: "what" },
          { title: "ours", right: true },
          { title: "peer", right: true },
          { title: "ratio", right: true },
          { title: "best ours", right: true },
          { title: "best peer", right: true },
          { title: "best/best", right: true },
          { title: "unit" },
          { title: "twice takes", right: true },
          { title: "peer is" },
        ],
        rows.map((row) => [
          row.name,
          rate(row.ours),
          rate(row.peer),
          ratio(row.ratio),
          rate(row.best_ours),
          rate(row.best_peer),
          ratio(row.best_ratio),
          row.unit,
          row.growth === undefined ? "" : `${row.growth.toFixed(2)} ×`,
          row.peer_name,
        ]),
      ),
    );
    for (const each of notes) {
      say(each);
    }
    say(faint(`medians over ${rounds} interleaved rounds; ${about}`));
  },
};
