// The documents that passed the rules of their own, on disk while they are compared with each other: their lines, and for
// each a fixed number of bytes by which duplicates are found. Memory does not grow with them.
import { closeSync, openSync, readSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Appender } from "../appender.ts";
import { writeIdentity } from "../import/identity.ts";
import { type CorpusDocument, lineOf } from "../read-corpus.ts";
import { type Banding, bandingFor, runsOf, SIGNATURE_HASHES, signatureOf, writeBand } from "./minhash.ts";
import type { CleanRules } from "./rules.ts";
import type { Words } from "./words.ts";

export const TEXT_HASH_BYTES = 12;
export const BAND_BYTES = 8;
const PLACE_BYTES = 16;
const SIGNATURE_BYTES = 4 * SIGNATURE_HASHES;

type NearRule = Pick<NonNullable<CleanRules["near_duplicates"]>, "similarity" | "run_words">;

type Files = {
  readonly lines: string;
  readonly places: string;
  readonly texts: string;
  readonly signatures: string;
  readonly bands: readonly string[];
};

function filesIn(folder: string, bands: number): Files {
  return {
    lines: path.join(folder, "documents.jsonl"),
    places: path.join(folder, "places.bin"),
    texts: path.join(folder, "texts.bin"),
    signatures: path.join(folder, "signatures.bin"),
    bands: Array.from({ length: bands }, (_, band) => path.join(folder, `band-${band}.bin`)),
  };
}

export class SurvivorWriter {
  readonly #files: Files;
  readonly #near: NearRule | null;
  readonly #banding: Banding;
  readonly #lines: Appender;
  readonly #places: Appender;
  readonly #texts: Appender;
  readonly #signatures: Appender;
  readonly #bands: readonly Appender[];
  count = 0;

  private constructor(files: Files, near: NearRule | null, banding: Banding, appenders: readonly Appender[]) {
    this.#files = files;
    this.#near = near;
    this.#banding = banding;
    const [lines, places, texts, signatures, ...bands] = appenders;
    if (lines === undefined || places === undefined || texts === undefined || signatures === undefined) {
      throw new Error("four files and the bands are opened before");
    }
    this.#lines = lines;
    this.#places = places;
    this.#texts = texts;
    this.#signatures = signatures;
    this.#bands = bands;
  }

  /** `near` null: near duplicates are not looked for, and no signatures made. */
  static async create(folder: string, near: NearRule | null): Promise<SurvivorWriter> {
    await mkdir(folder, { recursive: true });
    const banding = near === null ? { bands: 0, hashes: 1 } : bandingFor(near.similarity);
    const files = filesIn(folder, banding.bands);
    const appenders: Appender[] = [];
    for (const file of [files.lines, files.places, files.texts, files.signatures, ...files.bands]) {
      appenders.push(await Appender.open(file));
    }
    return new SurvivorWriter(files, near, banding, appenders);
  }

  /** `normal` is the text by which equal texts are equal. */
  async add(document: CorpusDocument, normal: string, words: Words): Promise<void> {
    const line = Buffer.from(lineOf(document));
    const place = Buffer.alloc(PLACE_BYTES);
    place.writeDoubleLE(this.#lines.length, 0);
    place.writeUInt32LE(line.length, 8);
    place.writeUInt32LE(words.count, 12);
    const hash = Buffer.alloc(TEXT_HASH_BYTES);
    writeIdentity(hash, 0, normal, 0, 0);
    await this.#lines.add(line);
    await this.#places.add(place);
    await this.#texts.add(hash);
    if (this.#near !== null) {
      const signature = signatureOf(runsOf(words, this.#near.run_words));
      await this.#signatures.add(Buffer.from(signature.buffer));
      for (const [band, appender] of this.#bands.entries()) {
        const bytes = Buffer.alloc(BAND_BYTES);
        writeBand(bytes, 0, signature, band, this.#banding.hashes);
        await appender.add(bytes);
      }
    }
    this.count += 1;
  }

  /** All written; they can be read. */
  async finish(): Promise<Survivors> {
    for (const appender of [this.#lines, this.#places, this.#texts, this.#signatures, ...this.#bands]) {
      await appender.flush();
    }
    await this.close();
    return new Survivors(this.#files, this.count);
  }

  async close(): Promise<void> {
    for (const appender of [this.#lines, this.#places, this.#texts, this.#signatures, ...this.#bands]) {
      await appender.close();
    }
  }
}

/** Looks documents up by their number. */
export class Survivors {
  readonly count: number;
  readonly linesFile: string;
  readonly textsFile: string;
  readonly bandFiles: readonly string[];
  readonly #lines: number;
  readonly #places: number;
  readonly #signatures: number;

  constructor(files: Files, count: number) {
    this.count = count;
    this.linesFile = files.lines;
    this.textsFile = files.texts;
    this.bandFiles = files.bands;
    this.#lines = openSync(files.lines, "r");
    this.#places = openSync(files.places, "r");
    this.#signatures = openSync(files.signatures, "r");
  }

  #place(number: number): Buffer {
    const place = Buffer.alloc(PLACE_BYTES);
    readSync(this.#places, place, 0, PLACE_BYTES, number * PLACE_BYTES);
    return place;
  }

  words(number: number): number {
    return this.#place(number).readUInt32LE(12);
  }

  document(number: number): { readonly id: string; readonly text: string; readonly source: string } {
    const place = this.#place(number);
    const line = Buffer.alloc(place.readUInt32LE(8));
    readSync(this.#lines, line, 0, line.length, place.readDoubleLE(0));
    // as: SurvivorWriter wrote the line.
    return JSON.parse(line.toString("utf8")) as { id: string; text: string; source: string };
  }

  signature(number: number): Uint32Array {
    const signature = new Uint32Array(SIGNATURE_HASHES);
    readSync(this.#signatures, new Uint8Array(signature.buffer), 0, SIGNATURE_BYTES, number * SIGNATURE_BYTES);
    return signature;
  }

  close(): void {
    closeSync(this.#lines);
    closeSync(this.#places);
    closeSync(this.#signatures);
  }
}
