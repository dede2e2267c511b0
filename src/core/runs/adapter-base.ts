// The model under an adapter. A checkpoint of a LoRA run holds only the adapter, so it names the base's files with their
// size and SHA-256, and a resume takes no other.
import { createHash } from "node:crypto";
import { open, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { AppError } from "#shared/errors";

export const baseReferenceSchema = z.object({
  path: z.string(),
  files: z.record(z.string(), z.object({ size: z.number(), sha256: z.string() })),
});
/** The model under an adapter. */
export type BaseReference = z.infer<typeof baseReferenceSchema>;

const CHUNK_BYTES = 1 << 20;

/** Through one buffer, so that a file of any size takes no more memory than that. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(file, "r");
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES);
      if (bytesRead === 0) {
        return hash.digest("hex");
      }
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/** config.json and the weights, whole or in shards; an optimizer's state and adapters are no part of a base. */
function isBaseFile(name: string): boolean {
  return name === "config.json" || /^(model|pytorch_model)[^/]*\.(safetensors|bin)(\.index\.json)?$/.test(name);
}

/** Reads every byte of the base once. */
export async function referenceBase(folder: string): Promise<BaseReference> {
  const files: Record<string, { size: number; sha256: string }> = {};
  for (const name of (await readdir(folder)).filter(isBaseFile).toSorted()) {
    const file = path.join(folder, name);
    files[name] = { size: (await stat(file)).size, sha256: await sha256Of(file) };
  }
  return { path: folder, files };
}

/** CHECKPOINT_MISMATCH where the base found now is not the one the adapter was trained on. */
export function checkSameBase(expected: BaseReference, found: BaseReference, checkpoint: string): void {
  const names = new Set([...Object.keys(expected.files), ...Object.keys(found.files)]);
  for (const name of names) {
    const before = expected.files[name];
    const now = found.files[name];
    if (before?.sha256 !== now?.sha256) {
      const how = now === undefined ? "is gone" : before === undefined ? "is new" : "has other bytes";
      throw new AppError(
        "CHECKPOINT_MISMATCH",
        `Cannot go on from ${checkpoint}: its adapter was trained on ${expected.path}, where ${name} ${how}; put the model back as it was.`,
      );
    }
  }
}
