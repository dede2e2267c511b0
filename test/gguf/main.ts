// Exports a model with its own vocabulary as GGUF and compares llama.cpp with us: ids of texts, and what each says after
// a prompt, token by token. Run by scripts/test-gguf.mjs, which knows where the peer lies.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { NativeTokenizer } from "#core/engine/addon";
import { exportModel } from "#core/models/export";
import { loadModel } from "#core/models/load";
import { longWords, nastyText } from "../support/nasty-text.ts";
import { continueGreedily, type LlamaModel, openLlama } from "./llama.ts";
import { findAbstracts, makeModel } from "./model.ts";

const GREEDY_TOKENS = 64;
const prompts = [
  "Background:",
  "The aim of this study was to",
  "Patients with type 2 diabetes",
  "β-blockers in heart failure (n = 1,234)",
  "RESULTS: The hazard ratio was 0.72 (95% CI",
  "We",
];

let passed = 0;
let failed = 0;
let skipped = 0;

function tell(isRight: boolean, what: string, detail = ""): void {
  passed += isRight ? 1 : 0;
  failed += isRight ? 0 : 1;
  console.log(`${isRight ? "ok" : "not ok"} - ${what}${isRight || detail === "" ? "" : `: ${detail}`}`);
}

/** Compares ids text by text; the first text that differs is shown. */
function compareIds(model: LlamaModel, tokenizer: NativeTokenizer, texts: readonly string[], what: string): void {
  const different = texts.filter((text) => tokenizer.encode(text).ids.join() !== model.tokenize(text, false).join());
  const [first] = different;
  tell(
    different.length === 0,
    `the ids of ${texts.length} ${what} are ours`,
    `${different.length} differ, such as ${JSON.stringify(first?.slice(0, 200))}`,
  );
}

async function ourContinuations(folder: string, count: number): Promise<readonly (readonly number[])[]> {
  const loaded = await loadModel(folder, { workspace: folder });
  const { model, tokenizer } = loaded;
  const endOfTextId = tokenizer.endOfTextId ?? 0;
  const continuations: number[][] = [];
  for (const prompt of prompts) {
    const generation = model.generate(
      {
        prompt: tokenizer.encode(prompt).ids,
        endOfTextId,
        maxNewTokens: count,
        temperature: 0,
        topK: 0,
        topP: 1,
        seed: 1,
        stopIds: Uint32Array.of(endOfTextId),
      },
      () => undefined,
    );
    continuations.push([...(await generation.done).ids]);
  }
  model.dispose();
  return continuations;
}

async function main(entry: string, folder: string): Promise<void> {
  const { train, held, isSample } = findAbstracts();
  if (isSample) {
    skipped += 1;
    console.log("skipped - 1 000 abstracts: the shared data is not here ($ASSAY_TEST_DATA), so the sample's are used");
  }
  const source = path.join(folder, "model");
  await mkdir(source);
  const { tokenizer, config } = await makeModel(source, train);
  console.log(`A GPT-2 of ${config.nLayers} layers with its own ${tokenizer.vocabSize} tokens.`);
  const expected = await ourContinuations(source, GREEDY_TOKENS);
  const llama = await openLlama(entry);
  for (const type of ["f32", "f16", "q8_0"] as const) {
    const file = path.join(folder, `${type}.gguf`);
    const { comparison } = await exportModel(
      { source, target: file, format: "gguf", type, shardBytes: null, mergeAdapter: false },
      { workspace: folder },
    );
    const difference = comparison.maxDifference.toExponential(1);
    tell(true, `${type}: exported and read back, logits within ${difference} (${comparison.tolerance} allowed)`);
    const model = await llama.loadModel({ modelPath: file });
    tell(model.tokens.eos === tokenizer.endOfTextId, `${type}: llama.cpp opens it, and ends texts where we do`);
    const ids = prompts.map((prompt) => [...tokenizer.encode(prompt).ids]);
    const said = await continueGreedily(model, ids, GREEDY_TOKENS, config.maxSeqLen);
    if (type === "f32") {
      for (const [index, prompt] of prompts.entries()) {
        tell(
          said[index]?.join() === expected[index]?.join(),
          `f32: the ${expected[index]?.length} tokens after ${JSON.stringify(prompt)} are ours`,
          `${said[index]?.join(" ")} instead of ${expected[index]?.join(" ")}`,
        );
      }
      compareIds(model, tokenizer, held, isSample ? "sample abstracts" : "held-out abstracts");
      const nasty = Array.from({ length: 300 }, (_, seed) => nastyText(seed, 40)).filter(
        (text) => !text.includes("\0"),
      );
      compareIds(model, tokenizer, [...nasty, ...longWords()], "hard texts");
    } else {
      const same = said.filter((tokens, index) => tokens[0] === expected[index]?.[0]).length;
      tell(same >= prompts.length - 1, `${type}: the first token is ours after ${same} of ${prompts.length} prompts`);
    }
    await model.dispose();
  }
  await llama.dispose();
}

const entry = process.env["ASSAY_LLAMA_ENTRY"];
if (entry === undefined) {
  console.error("Run this as `npm run test:gguf`, which installs what it compares with.");
  process.exit(2);
}
const folder = await mkdtemp(path.join(tmpdir(), "assay-test-gguf-"));
try {
  await main(entry, folder);
} catch (error) {
  tell(
    false,
    "the comparison came to its end",
    error instanceof Error ? (error.stack ?? error.message) : String(error),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed === 0 ? 0 : 1);
