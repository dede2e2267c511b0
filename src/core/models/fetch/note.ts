// The note that fetching leaves beside a model: where each file came from, so that it can be told and checked later.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { writeFileDurably } from "../../runs/durable-file.ts";

const noteName = "assay-fetch.json";

const noteSchema = z.object({
  repository: z.string(),
  revision: z.string(),
  /** The commit that the revision stood for. */
  commit: z.string(),
  endpoint: z.string(),
  files: z.record(
    z.string(),
    z.object({ size: z.number().nullable(), sha256: z.string().nullable(), git_blob: z.string().nullable() }),
  ),
});
export type FetchNote = z.infer<typeof noteSchema>;

export async function writeFetchNote(folder: string, note: FetchNote): Promise<void> {
  await writeFileDurably(path.join(folder, noteName), `${JSON.stringify(note, null, 2)}\n`);
}

/** Null where a model was not fetched, or the note cannot be read. */
export async function readFetchNote(folder: string): Promise<FetchNote | null> {
  try {
    const parsed = noteSchema.safeParse(JSON.parse(await readFile(path.join(folder, noteName), "utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
