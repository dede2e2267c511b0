import { describe, expect, it } from "vitest";
import { AppError } from "#shared/errors";
import type { StreamPosition, TokenStream } from "../streaming/token-stream.ts";
import { StreamSource } from "./training-source.ts";

/** A stream whose windows are numbers that count on, one block to an epoch, in the hands of the test. */
function countingStream(windowsPerEpoch: number) {
  const control = { taken: 0, failAt: Number.POSITIVE_INFINITY, bytesFetched: 0, closed: 0, wait: Promise.resolve() };
  let at = 0;
  const placeOf = (sample: number): StreamPosition => ({
    epoch: Math.floor(sample / windowsPerEpoch),
    block: 0,
    window: sample % windowsPerEpoch,
  });
  const stream: TokenStream = {
    fingerprint: "f",
    shardCount: 1,
    totalBytes: 1,
    storedBytes: 1,
    isPreTokenized: false,
    seek: ({ epoch, window }) => {
      at = epoch * windowsPerEpoch + window;
    },
    ready: async () => undefined,
    next: async (count, out) => {
      control.taken += 1;
      await control.wait;
      if (control.taken >= control.failAt) {
        throw new AppError("FETCH_UNREACHABLE", "gone");
      }
      const width = out.length / count;
      for (let row = 0; row < count; row += 1) {
        out.fill(at + row, row * width, (row + 1) * width);
      }
      at += count;
      return { position: placeOf(at), epoch: at / windowsPerEpoch, stallSeconds: 0 };
    },
    locate: () => Promise.reject(new Error("Training does not ask where a window lies.")),
    counters: () => ({
      requests: 0,
      bytesFetched: control.bytesFetched,
      retries: 0,
      shardsFetched: 0,
      cacheBytes: 0,
      hits: 0,
    }),
    close: async () => {
      control.closed += 1;
    },
  };
  return { stream, control };
}

const facts = { globalBatchSize: 2, seqLen: 3 };

async function windowsOf(source: StreamSource): Promise<readonly number[]> {
  const { input } = await source.next();
  return "windows" in input ? [...input.windows] : [];
}

describe("StreamSource", () => {
  it("gives the batches in their order with the place after each, however far ahead it has read", async () => {
    const { stream, control } = countingStream(5);
    const source = new StreamSource(stream, facts, 0);
    source.begin(source.placeAfter(0, null));
    const first = await source.next();
    await Promise.resolve();
    expect(control.taken).toBe(2);
    expect(first.after).toEqual({ epoch: 0.4, stream: { epoch: 0, block: 0, window: 2 } });
    expect(first.input).toMatchObject({ windows: Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1), endOfTextId: 0 });
    expect(await windowsOf(source)).toEqual([2, 2, 2, 2, 3, 3, 3, 3]);
    expect((await source.next()).after).toEqual({ epoch: 1.2, stream: { epoch: 1, block: 0, window: 1 } });
  });

  it("does not write into a batch before the next is asked for", async () => {
    const { stream } = countingStream(100);
    const source = new StreamSource(stream, facts, 0);
    source.begin(source.placeAfter(0, null));
    const { input } = await source.next();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect("windows" in input && [...input.windows.subarray(0, 1)]).toEqual([0]);
  });

  it("goes on from a place that a checkpoint kept with the batches that were to come", async () => {
    const whole = new StreamSource(countingStream(7).stream, facts, 0);
    whole.begin(whole.placeAfter(0, null));
    const places = [];
    const batches = [];
    for (let step = 1; step <= 6; step += 1) {
      const { after, input } = await whole.next();
      places.push(after);
      batches.push("windows" in input ? [...input.windows] : []);
    }
    const resumed = new StreamSource(countingStream(7).stream, facts, 0);
    resumed.begin(resumed.placeAfter(4, places[3] ?? null));
    expect(await windowsOf(resumed)).toEqual(batches[4]);
    expect(await windowsOf(resumed)).toEqual(batches[5]);
  });

  it("tells a failure with the step it is missing in, not before", async () => {
    const { stream, control } = countingStream(100);
    control.failAt = 3;
    const source = new StreamSource(stream, facts, 0);
    source.begin(source.placeAfter(0, null));
    await source.next();
    await source.next();
    await expect(source.next()).rejects.toMatchObject({ code: "FETCH_UNREACHABLE" });
  });

  it("tells bytes and stalls of the time since they were last told", async () => {
    const { stream, control } = countingStream(100);
    const source = new StreamSource(stream, facts, 0);
    source.begin(source.placeAfter(0, null));
    let go = (): void => undefined;
    control.wait = new Promise((resolve) => {
      go = resolve;
    });
    const waiting = source.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    go();
    await waiting;
    control.bytesFetched = 700;
    const first = source.takeMetrics();
    expect(first["data/bytes_fetched"]).toBe(700);
    expect(first["data/stall_seconds"]).toBeGreaterThan(0.005);
    control.bytesFetched = 900;
    expect(source.takeMetrics()).toEqual({ "data/bytes_fetched": 200, "data/stall_seconds": 0 });
    await source.close();
    expect(control.closed).toBe(1);
  });
});
