// The folder in which a stream keeps its prepared shards: what lies there and how large it is. Other processes may use the
// same folder: what appears was whole at once, and what disappears stays readable for whoever has it open.
import { readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { buildingPath, sweepBuilding } from "../corpus/building.ts";
import { makeFolder } from "../runs/durable-file.ts";

async function sizeOf(place: string): Promise<number | null> {
  try {
    const found = await stat(place);
    if (found.isFile()) {
      return found.size;
    }
    const sizes = await Promise.all(
      (await readdir(place)).map(async (name) => (await stat(path.join(place, name))).size),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch {
    return null; // gone meanwhile
  }
}

export class ShardCache {
  readonly #folder: string;
  readonly #extension: string;
  readonly #sizes = new Map<string, number>();
  #totalBytes = 0;

  private constructor(folder: string, extension: string) {
    this.#folder = folder;
    this.#extension = extension;
  }

  /** Makes the folder where there is none, and takes away what an ended process left half made. */
  static async open(folder: string, extension: "" | ".mds"): Promise<ShardCache> {
    await makeFolder(folder);
    await sweepBuilding(folder);
    const cache = new ShardCache(folder, extension);
    await cache.refresh();
    return cache;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  get names(): Iterable<string> {
    return this.#sizes.keys();
  }

  has(name: string): boolean {
    return this.#sizes.has(name);
  }

  sizeOf(name: string): number {
    return this.#sizes.get(name) ?? 0;
  }

  pathOf(name: string): string {
    return path.join(this.#folder, `${name}${this.#extension}`);
  }

  #set(name: string, size: number | null): void {
    this.#totalBytes += (size ?? 0) - this.sizeOf(name);
    if (size === null) {
      this.#sizes.delete(name);
    } else {
      this.#sizes.set(name, size);
    }
  }

  /** Looks whether it lies there now. */
  async look(name: string): Promise<boolean> {
    this.#set(name, await sizeOf(this.pathOf(name)));
    return this.has(name);
  }

  /** What others added and removed. */
  async refresh(): Promise<void> {
    const found = new Set<string>();
    for (const name of await readdir(this.#folder)) {
      if (name.startsWith("shard-") && name.endsWith(this.#extension)) {
        found.add(name.slice(0, name.length - this.#extension.length));
      }
    }
    for (const name of this.#sizes.keys()) {
      if (!found.has(name)) {
        this.#set(name, null);
      }
    }
    for (const name of found) {
      if (!this.has(name)) {
        await this.look(name);
      }
    }
  }

  /** At once, as others see it: a folder that is being taken apart has another name. */
  async remove(name: string): Promise<void> {
    this.#set(name, null);
    const leaving = buildingPath(this.#folder);
    await rename(this.pathOf(name), leaving).catch(() => undefined); // others may have been faster
    await rm(leaving, { recursive: true, force: true });
  }
}
