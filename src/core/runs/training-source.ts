// Where the batches of training come from: token data that lies here whole, or a stream of shards. The loop asks for the
// batch of a step and is told where the text stands after it; that place is all a resume needs.
import type { NativeTokenData } from "../engine/addon.ts";
import { type StreamPosition, streamStart, type TokenStream } from "../streaming/token-stream.ts";
import { epochOf, type StepFacts } from "./schedule.ts";

/** How far training has read. */
export type TrainingPlace = {
  /** Passes over the text, with fraction. */
  readonly epoch: number;
  /** The next sample of a stream; null for data whose next sample follows from the step. */
  readonly stream: StreamPosition | null;
};

export type TrainingBatch = {
  /** What the engine's step takes besides its number and rate. */
  readonly input:
    | { readonly data: NativeTokenData; readonly shuffleSeed: number }
    | { readonly windows: Int32Array; readonly endOfTextId: number };
  readonly after: TrainingPlace;
};

/** Of the time since it was last asked. */
export type StreamMetrics = {
  readonly "data/stall_seconds"?: number;
  readonly "data/bytes_fetched"?: number;
};

export interface TrainingSource {
  /** Where the first wait is worth a phase of its own. */
  readonly isStream: boolean;
  /** Windows of one pass; null where only reading tells. */
  readonly windowCount: number | null;
  /** The place after so many steps; `stream` and `epoch` as a checkpoint kept them. */
  placeAfter(step: number, kept: TrainingPlace | null): TrainingPlace;
  /** Where training goes on. A stream begins to fetch ahead. */
  begin(place: TrainingPlace): void;
  /** When the first batch can be had without waiting. */
  ready(): Promise<void>;
  /** The batch of step `step`, from 1. Called for one step after the other. */
  next(step: number): Promise<TrainingBatch>;
  takeMetrics(): StreamMetrics;
  close(): Promise<void>;
}

/** A token cache: the engine finds each step's windows itself (docs/formats/data-order.md). */
export class TokenDataSource implements TrainingSource {
  readonly isStream = false;
  readonly #data: NativeTokenData;
  readonly #facts: StepFacts & { readonly windowCount: number };
  readonly #shuffleSeed: number;

  constructor(data: NativeTokenData, facts: Omit<StepFacts, "windowCount">, shuffleSeed: number) {
    this.#data = data;
    this.#facts = { ...facts, windowCount: data.windowCount(facts.seqLen) };
    this.#shuffleSeed = shuffleSeed;
  }

  get windowCount(): number {
    return this.#facts.windowCount;
  }

  placeAfter(step: number): TrainingPlace {
    return { epoch: epochOf(step, this.#facts), stream: null };
  }

  begin(): void {
    // The place follows from the step.
  }

  async ready(): Promise<void> {
    // It is here.
  }

  async next(step: number): Promise<TrainingBatch> {
    return { input: { data: this.#data, shuffleSeed: this.#shuffleSeed }, after: this.placeAfter(step) };
  }

  takeMetrics(): StreamMetrics {
    return {};
  }

  async close(): Promise<void> {
    this.#data.close();
  }
}

type Taken = { readonly windows: Int32Array; readonly after: TrainingPlace };

/** A stream, with the next batch taken while the engine works on this one. */
export class StreamSource implements TrainingSource {
  readonly isStream = true;
  readonly windowCount = null;
  readonly #stream: TokenStream;
  readonly #batchSize: number;
  readonly #endOfTextId: number;
  /** The engine reads one while the other is filled. */
  #spare: Int32Array[];
  #coming: Promise<Taken> | null = null;
  #stallSeconds = 0;
  #bytesTold = 0;

  constructor(stream: TokenStream, facts: Omit<StepFacts, "windowCount">, endOfTextId: number) {
    this.#stream = stream;
    this.#batchSize = facts.globalBatchSize;
    this.#endOfTextId = endOfTextId;
    const tokens = facts.globalBatchSize * (facts.seqLen + 1);
    this.#spare = [new Int32Array(tokens), new Int32Array(tokens)];
  }

  placeAfter(_: number, kept: TrainingPlace | null): TrainingPlace {
    return kept?.stream == null ? { epoch: 0, stream: streamStart } : kept;
  }

  begin({ stream }: TrainingPlace): void {
    this.#stream.seek(stream ?? streamStart);
  }

  ready(): Promise<void> {
    return this.#stream.ready();
  }

  async next(): Promise<TrainingBatch> {
    const begin = performance.now();
    const { windows, after } = await (this.#coming ?? this.#take());
    this.#stallSeconds += (performance.now() - begin) / 1000;
    this.#coming = this.#take();
    // Told by the next call; a run that ends before it does not miss the batch.
    this.#coming.catch(() => undefined);
    return { input: { windows, endOfTextId: this.#endOfTextId }, after };
  }

  takeMetrics(): StreamMetrics {
    const { bytesFetched } = this.#stream.counters();
    const metrics = {
      "data/stall_seconds": Math.round(this.#stallSeconds * 1e3) / 1e3,
      "data/bytes_fetched": bytesFetched - this.#bytesTold,
    };
    this.#stallSeconds = 0;
    this.#bytesTold = bytesFetched;
    return metrics;
  }

  async close(): Promise<void> {
    await this.#stream.close();
  }

  async #take(): Promise<Taken> {
    const [windows, other] = this.#spare as [Int32Array, Int32Array];
    this.#spare = [other, windows];
    const { position, epoch } = await this.#stream.next(this.#batchSize, windows);
    return { windows, after: { epoch, stream: position } };
  }
}
