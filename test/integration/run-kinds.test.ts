// Runs of every kind beside plain causal training: masked models, LoRA on a frozen base, frozen tensors, narrower numbers,
// recomputation. Each leaves a checkpoint that is what it says, and one that was killed goes on bit for bit.
import { createHash } from "node:crypto";
import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isHeldOut } from "#core/corpus/split";
import { loadAddon } from "#core/engine/addon";
import { evaluateTexts } from "#core/evaluate/language-model";
import { loadModel } from "#core/models/load";
import { checkpointPath, listCheckpoints, readCheckpoint } from "#core/runs/checkpoints";
import { readManifest } from "#core/runs/manifest";
import { foldMetrics, readMetrics } from "#core/runs/metrics";
import { readRunRecipe } from "#core/runs/prepare";
import { createTinyRun, requireAddon, runToEnd, spawnRunner } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let workspace: string;
/** A plain causal model to start from. */
let base: string;

beforeAll(async () => {
  requireAddon();
  folder = await temporaryFolder("assay-kinds-");
  workspace = folder.path;
  const { directory } = await createTinyRun(workspace, ["max_duration=8ba"]);
  expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: 8 });
  base = checkpointPath(directory, 8);
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

const short = ["max_duration=12ba", "eval_interval=6ba", "save_interval=6ba", "samples.prompts=[]"];
const mlm = [...short, "model.name=bert", "objective={name: mlm, mask_probability: 0.2}"];
const pretraining = [...short, "model.name=megatron_bert", "objective={name: mlm+sop, whole_word: true}"];
const lora = () => [
  ...short,
  `model={name: gpt2, init_from: "${base}", dropout: 0.1, lora: {rank: 4, dropout: 0.1}}`,
  "tokenizer={}",
];

async function run(overrides: readonly string[]): Promise<string> {
  const { directory } = await createTinyRun(workspace, overrides);
  expect(await runToEnd(directory)).toMatchObject({ exitReason: null, status: "completed" });
  return directory;
}

async function hashes(directory: string): Promise<Readonly<Record<string, string>>> {
  const [newest] = await listCheckpoints(directory);
  const names = (await readdir(newest?.path ?? "")).filter((name) => name.endsWith(".safetensors")).toSorted();
  const pairs = names.map(async (name) => {
    const bytes = await readFile(path.join(newest?.path ?? "", name));
    return [name, createHash("sha256").update(bytes).digest("hex")] as const;
  });
  return Object.fromEntries(await Promise.all(pairs));
}

async function losses(directory: string): Promise<readonly unknown[]> {
  const { records } = foldMetrics((await readMetrics(directory)).lines);
  return records.map((record) => [record.step, record["train/loss"], record["eval/loss"], record["train/grad_norm"]]);
}

describe("a run that was killed after a checkpoint", () => {
  it.each([
    ["of a masked model", () => mlm],
    ["of a model that learns masked words and sentence order", () => pretraining],
    ["with LoRA on a frozen base", lora],
    ["in amp_bf16", () => [...short, "precision=amp_bf16"]],
    ["with an optimizer in 8 bits", () => [...short, "optimizer.state=8bit"]],
    ["with LoRA on bf16", () => [...lora(), "model.weights=bf16", "precision=amp_bf16"]],
    ["with frozen tensors", () => [...short, "model.freeze=[transformer.wte.*, transformer.h.0.*]"]],
    ["with recomputation", () => [...short, "activation_checkpointing=true"]],
    ["with borders between documents", () => [...short, "objective.document_mask=true"]],
  ])("%s goes on bit for bit", async (_, overrides) => {
    const whole = await run(overrides());
    const { directory } = await createTinyRun(workspace, overrides());
    const first = await spawnRunner(directory, { ASSAY_TEST_KILL_AT: "in-step:9" });
    expect((await first.ended).signal).toBe("SIGKILL");
    expect(await runToEnd(directory)).toMatchObject({ exitReason: null, status: "completed", step: 12 });
    expect((await readManifest(directory)).resumes).toBe(1);
    expect(await hashes(directory)).toEqual(await hashes(whole));
    expect(await losses(directory)).toEqual(await losses(whole));
  });
});

describe("a masked run", () => {
  it("trains a tokenizer with BERT's special tokens, end-of-text last, and leaves what Transformers reads", async () => {
    const directory = await run(mlm);
    const tokenizer = loadAddon().loadTokenizer(path.join(directory, "tokenizer", "tokenizer.json"));
    expect(tokenizer).toMatchObject({ vocabSize: 300, endOfTextId: 299 });
    const ids = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"].map((text) =>
      tokenizer.idOfBytes(new TextEncoder().encode(text)),
    );
    expect(ids).toEqual([295, 296, 297, 298]);
    const checkpoint = checkpointPath(directory, 12);
    const read = async (name: string): Promise<unknown> =>
      JSON.parse(await readFile(path.join(checkpoint, name), "utf8"));
    expect(await read("config.json")).toMatchObject({
      architectures: ["BertForMaskedLM"],
      vocab_size: 300,
      pad_token_id: 295,
    });
    expect(await read("tokenizer_config.json")).toMatchObject({ mask_token: "[MASK]", cls_token: "[CLS]" });
    expect(await read("special_tokens_map.json")).toMatchObject({ pad_token: "[PAD]" });
  });

  it("is evaluated on the same masked tokens every time, and has no bits per byte", async () => {
    const [one, other] = [await run(mlm), await run([...mlm, "data.shuffle_seed=3"])];
    const first = (await readMetrics(one)).lines[0];
    expect(first).toEqual((await readMetrics(other)).lines[0]);
    const { records } = foldMetrics((await readMetrics(one)).lines);
    expect(records[0]).toMatchObject({
      step: 0,
      "eval/loss": expect.any(Number),
      "eval/perplexity": expect.any(Number),
    });
    expect(records.some((record) => "eval/bits_per_byte" in record)).toBe(false);
    expect((await readCheckpoint(checkpointPath(one, 12), "sizes")).state.eval?.bits_per_byte).toBeNull();
  });

  it("that learns sentence order logs its loss beside", async () => {
    const { records } = foldMetrics((await readMetrics(await run(pretraining))).lines);
    expect(records[0]?.["eval/sentence_order_loss"]).toBeCloseTo(Math.LN2, 1);
  });

  it("refuses a tokenizer without the special tokens, and says what to do", async () => {
    const { directory } = await createTinyRun(workspace, [...mlm, `tokenizer.path="${base}"`]);
    expect(await runToEnd(directory)).toMatchObject({
      status: "failed",
      exitReason: {
        code: "TOKENIZER_INVALID",
        message: expect.stringContaining("[MASK], which a masked objective needs"),
      },
    });
  });
});

describe("a LoRA run", () => {
  it("keeps the adapter alone in its checkpoints, in PEFT's layout, with the base by its hashes", async () => {
    const directory = await run(lora());
    const checkpoint = checkpointPath(directory, 12);
    expect((await readdir(checkpoint)).toSorted()).toEqual(
      [
        "adapter_config.json",
        "adapter_model.safetensors",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "optimizer.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "training_state.json",
        "vocab.json",
      ].toSorted(),
    );
    const config: unknown = JSON.parse(await readFile(path.join(checkpoint, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({
      peft_type: "LORA",
      r: 4,
      lora_alpha: 16,
      target_modules: ["c_attn"],
      fan_in_fan_out: true,
      base_model_name_or_path: base,
    });
    const { state } = await readCheckpoint(checkpoint, "contents");
    expect(state.base).toMatchObject({ path: base, files: { "model.safetensors": { sha256: expect.any(String) } } });
    expect((await readManifest(directory)).trainable_parameters).toBe(2 * 4 * (32 + 96));
    const { recipe } = await readRunRecipe(directory);
    expect(recipe.model).toMatchObject({ n_layers: 2, vocab_size: 300, init_from: base });
  });

  it("is a model to speak with: adapter and base together evaluate to the figure it logged", async () => {
    const directory = await run(lora());
    const corpus = await readFile(path.join(workspace, "corpora", "tiny.jsonl"), "utf8");
    const heldOut = corpus
      .trim()
      .split("\n")
      .filter((line) => isHeldOut(JSON.parse(line).id, 0.1));
    const file = path.join(workspace, "held-out.jsonl");
    await writeFile(file, `${heldOut.join("\n")}\n`);
    const opened = await loadModel(path.basename(directory), { workspace, threads: 1 });
    try {
      const { loss } = await evaluateTexts(opened, { inputs: [file] });
      const { records } = foldMetrics((await readMetrics(directory)).lines);
      // In groups of another size than beside training, whose sums may round otherwise.
      expect(loss).toBeCloseTo(records.at(-1)?.["eval/loss"] ?? Number.NaN, 6);
      expect(loss).not.toBe(records[0]?.["eval/loss"]);
    } finally {
      opened.model.dispose();
    }
  });

  it("does not go on upon another base", async () => {
    const own = await run(["max_duration=4ba", "samples.prompts=[]", "seed=5"]);
    const ownBase = checkpointPath(own, 4);
    const overrides = lora().map((each) => each.replace(base, ownBase));
    const { directory } = await createTinyRun(workspace, overrides);
    const first = await spawnRunner(directory, { ASSAY_TEST_KILL_AT: "in-step:9" });
    await first.ended;
    await appendFile(path.join(ownBase, "config.json"), "\n");
    expect(await runToEnd(directory)).toMatchObject({
      status: "failed",
      exitReason: { code: "CHECKPOINT_MISMATCH", message: expect.stringContaining("config.json has other bytes") },
    });
  });

  it("begins where its base is: the first evaluation is the base's own", async () => {
    const { records } = foldMetrics((await readMetrics(await run(lora()))).lines);
    const { state } = await readCheckpoint(base, "sizes");
    expect(records[0]).toMatchObject({ step: 0, "eval/loss": state.eval?.loss });
  });
});

describe("recomputation", () => {
  it("gives the bits of a run without it", async () => {
    const [without, withIt] = [await run(short), await run([...short, "activation_checkpointing=true"])];
    expect(await hashes(withIt)).toEqual(await hashes(without));
  });
});

describe("frozen tensors", () => {
  it("stay as they were", async () => {
    const directory = await run([...short, "model.freeze=[transformer.h.0.*]"]);
    const models = [
      await loadModel(checkpointPath(directory, 6), { workspace }),
      await loadModel(checkpointPath(directory, 12), { workspace }),
    ];
    try {
      const read = (name: string) => Promise.all(models.map(({ model }) => model.readTensor(name)));
      const [before, after] = await read("transformer.h.0.attn.c_attn.weight");
      expect(after).toEqual(before);
      const [trainedBefore, trainedAfter] = await read("transformer.h.1.attn.c_attn.weight");
      expect(trainedAfter).not.toEqual(trainedBefore);
    } finally {
      for (const { model } of models) {
        model.dispose();
      }
    }
  });
});
