// Pre-tokenized shards to batches of int32 in permuted order on one thread, beside NumPy's windows of a flat memory map;
// and how long it takes to resume at any sample of a large index.
import { spawnSync } from "node:child_process";
import { link, mkdir } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { formatMdsIndex, MDS_INDEX_NAME, type MdsShardEntry, readMdsIndex } from "../corpus/mds/index-file.ts";
import { loadAddon, type NativeTokenShard, type NativeTokenText } from "../engine/addon.ts";
import { programRoot } from "../paths.ts";
import { writeFileDurably } from "../runs/durable-file.ts";
import { describeShards, type TokenFiles, type TokenKind, writeTokenFiles } from "./data-files.ts";
import { type BenchProgress, type BenchRow, benchRow, median } from "./rows.ts";

const SEQ_LEN = 1024;
const BATCH = 32;
const SEED = 17;
/** Of one round, so that a round takes a good part of a second. */
const EPOCHS_OF_A_ROUND = 4;
const INDEX_SAMPLES = 10_000_000;
const SHARDS_OF_A_BLOCK = 4;
const RESUMES = 20;

export type NumPy = { readonly command: string; readonly version: string };

/** The first Python that has NumPy. */
export function findNumPy(): NumPy | null {
  for (const command of ["python3", "/usr/bin/python3"]) {
    const result = spawnSync(command, ["-c", "import numpy; print(numpy.__version__)"], { encoding: "utf8" });
    if (result.status === 0) {
      return { command, version: result.stdout.trim() };
    }
  }
  return null;
}

export function hasStreamingLibrary(command: string): boolean {
  return spawnSync(command, ["-c", "import streaming"]).status === 0;
}

/** The windows of several mapped shards in one permuted order, batch by batch. */
class Windows {
  readonly #texts: readonly NativeTokenText[];
  /** Number of the first window of each shard, and of all at the end. */
  readonly #begins: readonly number[];
  readonly #numbers: readonly Uint32Array[];
  readonly #rows: readonly Uint32Array[];

  constructor(shards: readonly NativeTokenShard[]) {
    this.#texts = shards.map((shard) => loadAddon().openTokenShard(shard));
    const begins = [0];
    for (const text of this.#texts) {
      begins.push((begins.at(-1) ?? 0) + text.windowCount(SEQ_LEN));
    }
    this.#begins = begins;
    this.#numbers = shards.map(() => new Uint32Array(BATCH));
    this.#rows = shards.map(() => new Uint32Array(BATCH));
  }

  get count(): number {
    return this.#begins.at(-1) ?? 0;
  }

  order(epoch: number, from = 0, to = this.count): Float64Array {
    return loadAddon().dataOrder({ windowCount: this.count, seed: SEED, epoch, from, to });
  }

  /** The windows at `BATCH` places of an order; one call a shard. */
  gather(order: Float64Array, from: number, out: Int32Array): void {
    const counts = this.#texts.map(() => 0);
    for (let row = 0; row < BATCH; row += 1) {
      const window = order[from + row] ?? 0;
      let shard = 0;
      while (window >= (this.#begins[shard + 1] ?? 0)) {
        shard += 1;
      }
      const at = counts[shard] ?? 0;
      this.#numbers[shard]?.fill(window - (this.#begins[shard] ?? 0), at, at + 1);
      this.#rows[shard]?.fill(row, at, at + 1);
      counts[shard] = at + 1;
    }
    for (const [shard, count] of counts.entries()) {
      if (count > 0) {
        const numbers = this.#numbers[shard]?.subarray(0, count) ?? new Uint32Array();
        this.#texts[shard]?.copyWindows(numbers, SEQ_LEN, out, this.#rows[shard]?.subarray(0, count));
      }
    }
  }

  /** Where a window begins in the tokens of all shards together. */
  firstToken(window: number): number {
    let before = 0;
    for (const [shard, text] of this.#texts.entries()) {
      if (window < (this.#begins[shard + 1] ?? 0)) {
        return before + (window - (this.#begins[shard] ?? 0)) * SEQ_LEN;
      }
      before += text.tokenCount;
    }
    return before;
  }

  close(): void {
    for (const text of this.#texts) {
      text.close();
    }
  }
}

function runPeer(numpy: NumPy, kind: TokenKind, files: TokenFiles, args: readonly string[], input = ""): unknown {
  const script = path.join(programRoot(), "bench", "data", "numpy_windows.py");
  const fixed = ["--dtype", kind.dtype, "--width", String(SEQ_LEN + 1), "--batch", String(BATCH)];
  const result = spawnSync(numpy.command, [script, files.flatFile, ...fixed, ...args], {
    encoding: "utf8",
    input,
    maxBuffer: 1 << 26,
  });
  if (result.status !== 0) {
    const reason = result.stderr.trim().split("\n").at(-1) ?? "";
    throw new AppError("NOT_SUPPORTED", `${numpy.command} ${script} failed: ${reason}`);
  }
  return JSON.parse(result.stdout);
}

/** The first batches of the order on both sides, or the two would not do the same work. */
function compareIds(numpy: NumPy, kind: TokenKind, files: TokenFiles): void {
  const windows = new Windows(files.shards);
  const order = windows.order(0, 0, 4 * BATCH);
  const out = new Int32Array(BATCH * (SEQ_LEN + 1));
  const begins = [...order].map((window) => windows.firstToken(window));
  // as: the script prints a list of windows
  const theirs = runPeer(numpy, kind, files, ["--check"], JSON.stringify(begins)) as readonly (readonly number[])[];
  for (let from = 0; from < order.length; from += BATCH) {
    windows.gather(order, from, out);
    const expected = theirs.slice(from, from + BATCH).flat();
    if (expected.length !== out.length || expected.some((id, index) => id !== out[index])) {
      throw new AppError("BUG", `The benchmark stops before timing anything: the ids of ${kind.name} differ.`);
    }
  }
  windows.close();
}

/** `core_seconds` is processor time, which other programs on a busy machine do not lengthen as they do the clock's. */
type Spent = { readonly seconds: number; readonly core_seconds: number };

/** Opening, the order of each epoch and its batches; and how many windows came out. */
function readEpochs(files: TokenFiles): { readonly spent: Spent; readonly windows: number } {
  const out = new Int32Array(BATCH * (SEQ_LEN + 1));
  let delivered = 0;
  const before = process.cpuUsage();
  const start = performance.now();
  const windows = new Windows(files.shards);
  for (let epoch = 0; epoch < EPOCHS_OF_A_ROUND; epoch += 1) {
    const order = windows.order(epoch);
    for (let from = 0; from + BATCH <= order.length; from += BATCH) {
      windows.gather(order, from, out);
      delivered += BATCH;
    }
  }
  windows.close();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { spent: { seconds, core_seconds: (user + system) / 1e6 }, windows: delivered };
}

export async function tokenRows(
  folder: string,
  kind: TokenKind,
  numpy: NumPy | null,
  rounds: number,
  onProgress: BenchProgress,
): Promise<{ readonly rows: readonly BenchRow[]; readonly files: TokenFiles }> {
  onProgress(`writing shards of ${kind.name}`);
  const files = await writeTokenFiles(folder, kind);
  if (numpy !== null) {
    onProgress(`${kind.name}: comparing the ids`);
    compareIds(numpy, kind, files);
  }
  const measured: { readonly ours: Spent; readonly peer: Spent | null; readonly windows: number }[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    onProgress(`${kind.name}, round ${round} of ${rounds}`);
    const { spent, windows } = readEpochs(files);
    const args = ["--batches", String(windows / BATCH), "--seed", String(round)];
    // as: the script prints both
    const peer = numpy === null ? null : (runPeer(numpy, kind, files, args) as Spent);
    measured.push({ ours: spent, peer, windows });
  }
  const rowOf = (what: string, unit: string, secondsOf: (spent: Spent) => number) => {
    // Each token of a window counts once, though windows share one with the next.
    const rate = (windows: number, spent: Spent) => (windows * SEQ_LEN * kind.tokenBytes) / secondsOf(spent) / 1e9;
    return benchRow(
      `MDS shards of ${kind.name} to (${BATCH}, ${SEQ_LEN + 1}) int32, permuted, 1 thread${what}`,
      numpy === null ? "" : `NumPy ${numpy.version}: windows of a flat memory map, to int64, stacked`,
      unit,
      measured.map(({ ours, peer, windows }) => ({
        ours: [rate(windows, ours)],
        peer: peer === null ? [] : [rate(windows, peer)],
      })),
    );
  };
  return {
    rows: [
      rowOf("", "GB/s", ({ seconds }) => seconds),
      rowOf(", by processor time", "GB/s per core", ({ core_seconds }) => core_seconds),
    ],
    files,
  };
}

/** As many entries as 10 million samples need; their files are names of one shard. */
async function writeLargeIndex(folder: string, shard: NativeTokenShard, entry: MdsShardEntry): Promise<void> {
  await mkdir(folder);
  const entries = Array.from({ length: Math.ceil(INDEX_SAMPLES / entry.samples) }, (_, number) => ({
    ...entry,
    raw_data: { ...entry.raw_data, basename: `shard.${String(number).padStart(5, "0")}.mds` },
  }));
  for (const { raw_data } of entries) {
    await link(shard.file, path.join(folder, raw_data.basename));
  }
  await writeFileDurably(path.join(folder, MDS_INDEX_NAME), formatMdsIndex(entries));
}

/** From nothing to the first batch at one place: index, order of shards, the shards of its block, order of windows. */
async function resume(folder: string, kind: TokenKind, place: number): Promise<number> {
  const start = performance.now();
  const { shards: entries } = await readMdsIndex(folder);
  const from = Math.floor((place * entries.length) / SHARDS_OF_A_BLOCK) * SHARDS_OF_A_BLOCK;
  const to = Math.min(entries.length, from + SHARDS_OF_A_BLOCK);
  const shards = loadAddon().dataOrder({ windowCount: entries.length, seed: SEED, epoch: 0, from, to });
  const block = [...shards].flatMap((shard) => entries[shard] ?? []);
  const windows = new Windows(describeShards(folder, block, kind));
  const first = Math.floor(place * (windows.count - BATCH));
  windows.gather(windows.order(0, first, first + BATCH), 0, new Int32Array(BATCH * (SEQ_LEN + 1)));
  windows.close();
  return performance.now() - start;
}

export async function resumeRow(
  folder: string,
  kind: TokenKind,
  files: TokenFiles,
  onProgress: BenchProgress,
): Promise<BenchRow> {
  const [shard] = files.shards;
  const [entry] = files.entries;
  if (shard === undefined || entry === undefined) {
    throw new AppError("BUG", "The benchmark wrote no shards.");
  }
  const large = path.join(folder, "large");
  onProgress("resuming in an index of 10 million samples");
  await writeLargeIndex(large, shard, entry);
  const milliseconds: number[] = [];
  for (let turn = 0; turn < RESUMES; turn += 1) {
    milliseconds.push(await resume(large, kind, (turn + 0.5) / RESUMES));
  }
  return {
    name: `resume at any sample of ${INDEX_SAMPLES / 1e6} M in ${Math.ceil(INDEX_SAMPLES / entry.samples)} shards, to the first batch`,
    ours: median(milliseconds),
    peer: null,
    peer_name: "",
    ratio: null,
    best_ratio: null,
    best_ours: Math.min(...milliseconds),
    best_peer: null,
    unit: "ms",
    rounds: RESUMES,
  };
}
