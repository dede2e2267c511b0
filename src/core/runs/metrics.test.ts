import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { foldMetrics, type MetricLine, MetricsWriter, metricsFile, parseMetricLine, readMetrics } from "./metrics.ts";

let run: string;
beforeEach(async () => {
  run = await mkdtemp(path.join(tmpdir(), "assay-metrics-"));
});
afterEach(() => rm(run, { recursive: true, force: true }));

const record = (step: number, loss: number): MetricLine => ({ kind: "record", record: { step, "train/loss": loss } });
const resume = (resumed: number, fromStep: number): MetricLine => ({
  kind: "resume",
  marker: { resumed, from_step: fromStep },
});

describe("MetricsWriter", () => {
  it("writes numbers that are not finite as strings, and the reader gives the numbers back", async () => {
    const writer = await MetricsWriter.open(run);
    await writer.append({ step: 1, "train/loss": Number.NaN, "train/grad_norm": Infinity, low: -Infinity });
    await writer.close();
    expect(await readFile(metricsFile(run), "utf8")).toBe(
      '{"step":1,"train/loss":"NaN","train/grad_norm":"Infinity","low":"-Infinity"}\n',
    );
    const { lines } = await readMetrics(run);
    expect(lines).toEqual([
      { kind: "record", record: { step: 1, "train/loss": Number.NaN, "train/grad_norm": Infinity, low: -Infinity } },
    ]);
  });

  it("ends a line that a crash left torn, and cuts nothing", async () => {
    const torn = '{"step":1,"train/loss":2}\n{"step":2,"trai';
    await writeFile(metricsFile(run), torn);
    const writer = await MetricsWriter.open(run);
    await writer.appendResume({ resumed: 1, from_step: 1 });
    await writer.close();
    expect(await readFile(metricsFile(run), "utf8")).toBe(`${torn}\n{"resumed":1,"from_step":1}\n`);
    expect((await readMetrics(run)).lines).toEqual([record(1, 2), resume(1, 1)]);
  });

  it("adds no empty line to a whole file", async () => {
    await writeFile(metricsFile(run), '{"step":1}\n');
    await (await MetricsWriter.open(run)).close();
    expect(await readFile(metricsFile(run), "utf8")).toBe('{"step":1}\n');
  });
});

describe("readMetrics", () => {
  it("goes on from its cursor and leaves a line that is still being written", async () => {
    await writeFile(metricsFile(run), '{"step":1}\n{"step":2');
    const first = await readMetrics(run);
    expect(first.lines).toHaveLength(1);
    await appendFile(metricsFile(run), ',"train/loss":3}\n');
    const second = await readMetrics(run, { cursor: first.cursor });
    expect(second.lines).toEqual([record(2, 3)]);
    expect((await readMetrics(run, { cursor: second.cursor })).lines).toEqual([]);
  });

  it("reads a file longer than its slices without losing a line", async () => {
    const count = 20_000;
    const text = Array.from({ length: count }, (_, at) => `{"step":${at},"note":"${"x".repeat(at % 120)}"}\n`).join("");
    await writeFile(metricsFile(run), text);
    const { lines, cursor } = await readMetrics(run);
    expect(lines).toHaveLength(count);
    expect(cursor).toBe(text.length);
  });

  it("finds nothing where there is no file yet", async () => {
    expect(await readMetrics(run)).toEqual({ lines: [], cursor: 0 });
  });
});

describe("parseMetricLine", () => {
  it("leaves out what it does not know", () => {
    expect(parseMetricLine('{"step":1,"note":"x","deep":{}}')).toEqual({ kind: "record", record: { step: 1 } });
    expect(parseMetricLine("[1]")).toBeUndefined();
    expect(parseMetricLine('{"loss":1}')).toBeUndefined();
  });
});

describe("foldMetrics", () => {
  it("drops what a resume superseded and keeps it as a branch", () => {
    const folded = foldMetrics([record(1, 9), record(2, 8), record(3, 7), resume(1, 1), record(2, 6), record(3, 5)]);
    expect(folded.records.map((each) => each["train/loss"])).toEqual([9, 6, 5]);
    expect(folded.branches).toEqual([
      {
        marker: { resumed: 1, from_step: 1 },
        records: [
          { step: 2, "train/loss": 8 },
          { step: 3, "train/loss": 7 },
        ],
      },
    ]);
  });

  it("merges a step that is logged again, such as an evaluation made up for after a stop", () => {
    const evaluation: MetricLine = { kind: "record", record: { step: 2, "eval/loss": 4 } };
    expect(foldMetrics([record(1, 9), record(2, 8), resume(1, 2), evaluation]).records).toEqual([
      { step: 1, "train/loss": 9 },
      { step: 2, "train/loss": 8, "eval/loss": 4 },
    ]);
  });

  it("survives resumes of resumes", () => {
    const lines = [record(1, 1), record(2, 2), resume(1, 1), resume(2, 1), record(2, 3), resume(3, 0), record(1, 4)];
    expect(foldMetrics(lines).records).toEqual([{ step: 1, "train/loss": 4 }]);
  });
});
