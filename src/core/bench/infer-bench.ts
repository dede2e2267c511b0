// Prompts read and tokens written by a GPT-2 of 124M parameters: ours native, ours through the JavaScript API, llama.cpp
// native and node-llama-cpp, interleaved in one run on the same random weights. All write greedily, and what the fp32 and
// f32 sides write must be the same, or they did not do the same work. A prompt's time is no part of decoding.
import { AppError } from "#shared/errors";
import type { NativeModel, NativeTokenizer, NativeWeightType } from "../engine/addon.ts";
import type { GgufDataType } from "../models/gguf/writer.ts";
import { loadGpt2Tokenizer } from "../tokenizer/gpt2.ts";
import { inferModels, openInferModel } from "./infer-models.ts";
import {
  findLlama,
  type LlamaPeer,
  peerAdvice,
  runLlama,
  runNodeLlama,
  runOurs,
  type Timing,
  type Work,
} from "./infer-programs.ts";
import { type BenchProgress, type BenchRow, benchRow, median } from "./rows.ts";

const promptTokens = 512;
const newTokens = 64;
const sideBySide = 16;
/** Of one process; the interleaved rounds are around it. */
const innerRounds = 2;

type Format = { readonly label: string; readonly weights: NativeWeightType; readonly gguf: GgufDataType };
const formats: readonly Format[] = [
  { label: "fp32", weights: "fp32", gguf: "f32" },
  { label: "bf16", weights: "bf16", gguf: "f16" },
  { label: "q8", weights: "int8", gguf: "q8_0" },
];

type Round = { readonly ours: readonly number[]; readonly peer: readonly number[] };

/** Rows in the making: what each interleaved round found, by name. */
class Findings {
  readonly #rows = new Map<string, { readonly peer: string; readonly unit: string; readonly rounds: Round[] }>();

  add(name: string, peer: string, unit: string, round: Round): void {
    const row = this.#rows.get(name) ?? { peer, unit, rounds: [] };
    row.rounds.push(round);
    this.#rows.set(name, row);
  }

  rows(): readonly BenchRow[] {
    return [...this.#rows].map(([name, { peer, unit, rounds }]) => benchRow(name, peer, unit, rounds));
  }
}

function rates(seconds: readonly number[], tokens: number): readonly number[] {
  return seconds.map((each) => tokens / each);
}

/** The first new token comes from the prompt. */
function decodeRates(timing: Timing, batch = 1): readonly number[] {
  return rates(timing.decode_seconds, batch * (newTokens - 1));
}

/** A peer's rates with one thread and with all, whichever were better this round: more threads are not always faster. */
function atItsBest(threads: number, measure: (threads: number) => readonly number[]): readonly number[] {
  const candidates = [...new Set([1, threads])].map(measure);
  return candidates.reduce((best, each) => (median(each) > median(best) ? each : best));
}

/** bench-infer's beginning. */
function promptOf(count: number): Uint32Array {
  let state = 1;
  return Uint32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % 50_256;
  });
}

/** Tokens a second as a caller of the JavaScript API sees them, with a listener that gathers the text. */
async function decodeThroughApi(model: NativeModel, tokenizer: NativeTokenizer): Promise<readonly number[]> {
  const seconds: number[] = [];
  for (let round = 0; round <= innerRounds; round += 1) {
    let text = "";
    const start = performance.now();
    const { promptSeconds } = await model.generate(
      {
        prompt: promptOf(16),
        maxNewTokens: newTokens,
        temperature: 0,
        topK: 0,
        topP: 1,
        seed: 1,
        stopIds: new Uint32Array(),
        tokenizer,
      },
      (token) => {
        text += token.text ?? "";
      },
    ).done;
    if (round > 0 && text !== "") {
      seconds.push((performance.now() - start) / 1000 - promptSeconds);
    }
  }
  return rates(seconds, newTokens - 1);
}

function checkSameText(ours: Timing, theirs: Timing): void {
  if (ours.ids.join() !== theirs.ids.join()) {
    throw new AppError(
      "CHECKPOINT_MISMATCH",
      `llama.cpp in f32 writes other tokens (${theirs.ids.slice(0, 8).join(" ")} …) than we do (${ours.ids.slice(0, 8).join(" ")} …), so there is nothing to compare.`,
    );
  }
}

export type InferBench = { readonly rows: readonly BenchRow[]; readonly notes: readonly string[] };

type Session = {
  readonly peer: LlamaPeer | null;
  readonly models: Awaited<ReturnType<typeof inferModels>>;
  readonly threads: number;
  readonly findings: Findings;
  readonly tokenizer: NativeTokenizer;
};

/** One format once: prompt and decoding against llama.cpp, and what JavaScript adds. */
async function measureFormat(session: Session, format: Format, isFirst: boolean): Promise<readonly number[]> {
  const { peer, models, threads, findings } = session;
  const work: Work = { prompt: promptTokens, tokens: newTokens, rounds: innerRounds, threads };
  const libraries = peer?.libraries ?? null;
  const ours = runOurs(work, { model: models.safetensors, weights: format.weights });
  const theirs = new Map<number, Timing>();
  if (libraries !== null) {
    for (const count of new Set([1, threads])) {
      theirs.set(count, runLlama({ ...work, threads: count }, libraries, models.gguf[format.gguf]));
    }
    const first = theirs.get(threads);
    if (isFirst && format.gguf === "f32" && first !== undefined) {
      checkSameText(ours, first);
    }
  }
  const native =
    libraries === null
      ? "llama.cpp (not installed)"
      : `llama.cpp ${peer?.release ?? ""} ${format.gguf}, native, 1 or ${threads} threads`;
  const peerRates = (rate: (timing: Timing) => readonly number[]): readonly number[] =>
    theirs.size === 0
      ? []
      : atItsBest(threads, (count) => {
          const timing = theirs.get(count);
          return timing === undefined ? [] : rate(timing);
        });
  findings.add(`prefill ${format.label} gpt2-124m, batch 1`, native, "tok/s", {
    ours: rates(ours.prompt_seconds, promptTokens),
    peer: peerRates((timing) => rates(timing.prompt_seconds, promptTokens)),
  });
  const decoded = decodeRates(ours);
  findings.add(`decode ${format.label} gpt2-124m, batch 1`, native, "tok/s", {
    ours: decoded,
    peer: peerRates(decodeRates),
  });

  const model = await openInferModel(models, format.weights, threads);
  try {
    const api = await decodeThroughApi(model, session.tokenizer);
    findings.add(`decode ${format.label} gpt2-124m, batch 1, JavaScript against native`, "Assay native", "tok/s", {
      ours: api,
      peer: decoded,
    });
    const name =
      peer === null
        ? "node-llama-cpp (not installed)"
        : `node-llama-cpp ${peer.packageVersion} ${format.gguf}, 1 or ${threads} threads`;
    findings.add(`decode ${format.label} gpt2-124m, batch 1, JavaScript`, name, "tok/s", {
      ours: api,
      peer:
        peer === null
          ? []
          : atItsBest(threads, (count) =>
              decodeRates(runNodeLlama({ ...work, threads: count }, peer, models.gguf[format.gguf])),
            ),
    });
  } finally {
    model.dispose();
  }
  return decoded;
}

/** What has no peer but ourselves: many texts at once, and the memory's own speed. */
function measureAlone(session: Session, format: Format, decoded: readonly number[]): readonly number[] {
  const { models, threads, findings } = session;
  const work: Work = { prompt: 0, tokens: newTokens, rounds: innerRounds, threads };
  const many = runOurs(work, { model: models.safetensors, weights: format.weights, batch: sideBySide });
  findings.add(`decode ${format.label} gpt2-124m, batch ${sideBySide}`, "Assay, batch 1", "tok/s", {
    ours: decodeRates(many, sideBySide),
    peer: decoded,
  });
  const memory = runOurs(
    { ...work, tokens: 0, rounds: 4 },
    { model: models.safetensors, weights: format.weights, extra: ["--bandwidth", "--sampling"] },
  );
  findings.add(`decode ${format.label} gpt2-124m, weights read`, "memory read in a plain loop", "GB/s", {
    ours: decoded.map((rate) => (rate * memory.weight_bytes) / 1e9),
    peer: memory.read_gigabytes_per_second,
  });
  return memory.sampling_microseconds;
}

export async function inferBench(options: {
  readonly rounds: number;
  readonly threads: number;
  readonly onProgress: BenchProgress;
}): Promise<InferBench> {
  const peer = findLlama();
  const models = await inferModels({ ...options, withGguf: peer !== null });
  const session: Session = {
    peer,
    models,
    threads: options.threads,
    findings: new Findings(),
    tokenizer: await loadGpt2Tokenizer(),
  };
  const sampling: number[][] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const format of formats) {
      options.onProgress(`${format.label}, round ${round} of ${options.rounds}`);
      const decoded = await measureFormat(session, format, round === 1);
      sampling.push([...measureAlone(session, format, decoded)]);
    }
  }
  const [topKAndP = 0, greedy = 0, topP = 0] = [0, 1, 2].map((place) =>
    Math.min(...sampling.map((each) => each[place] ?? Number.POSITIVE_INFINITY)),
  );
  return {
    rows: session.findings.rows(),
    notes: [
      `a token chosen out of 50 257 and made text takes ${topKAndP.toFixed(0)} µs (top-k 40 and top-p), ${greedy.toFixed(0)} µs (greedy), ${topP.toFixed(0)} µs (top-p 0.95 of a flat distribution)`,
      ...(peer === null ? [peerAdvice()] : []),
    ],
  };
}
