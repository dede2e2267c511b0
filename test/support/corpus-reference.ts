// What a reference parse in Python makes of files, for comparison with what the importer makes of them.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { programRoot } from "#core/paths";

async function python(script: string, ...words: readonly string[]): Promise<readonly unknown[]> {
  const file = path.join(programRoot(), "test", "support", script);
  const { stdout } = await promisify(execFile)("python3", [file, ...words], { maxBuffer: 1 << 28 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}

/** [id, text] of the documents of each file. */
export async function referenceDocuments(
  format: string,
  files: readonly string[],
): Promise<readonly (readonly string[])[][]> {
  // as: the script prints this.
  return (await python("corpus-reference.py", format, ...files)) as string[][][];
}

/** The samples of a folder of MDS shards. */
export async function referenceSamples(folder: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  // as: the script prints an object a line.
  return (await python("mds-reference.py", folder)) as Record<string, unknown>[];
}
