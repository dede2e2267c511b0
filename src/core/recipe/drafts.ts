// Unsaved recipe text, kept outside the workspace so that it survives a crash of the window: one small file a source,
// replaced whole.
import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { writeFileDurably } from "../runs/durable-file.ts";

const draftSchema = z.object({ source: z.string(), text: z.string() });

function draftFile(folder: string, source: string): string {
  const key = createHash("sha256").update(source).digest("hex").slice(0, 32);
  return path.join(folder, `${key}.json`);
}

/** Null where there is none. A damaged one is none. */
export async function readDraft(folder: string, source: string): Promise<string | null> {
  try {
    const draft = draftSchema.parse(JSON.parse(await readFile(draftFile(folder, source), "utf8")));
    return draft.source === source ? draft.text : null;
  } catch {
    return null;
  }
}

/** Null removes it. */
export async function keepDraft(folder: string, source: string, text: string | null): Promise<void> {
  if (text === null) {
    await rm(draftFile(folder, source), { force: true });
    return;
  }
  await mkdir(folder, { recursive: true });
  await writeFileDurably(draftFile(folder, source), JSON.stringify({ source, text }));
}
