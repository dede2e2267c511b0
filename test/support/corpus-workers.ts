// The threads of the corpus' commands, bundled from the sources as they are now, where this process and those it starts
// find them.
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";
import { programRoot } from "#core/paths";

let bundled: Promise<void> | undefined;

async function bundleAll(): Promise<void> {
  const root = programRoot();
  const folder = path.join(root, "build", "test", "workers");
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: {
      "import-worker": "src/core/corpus/import/import-worker.ts",
      "parquet-worker": "src/core/corpus/import/parquet-worker.ts",
      "stream-worker": "src/core/streaming/stream-worker.ts",
    },
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    outdir: folder,
    write: false,
    logLevel: "warning",
  });
  await mkdir(folder, { recursive: true });
  for (const { path: file, contents } of outputFiles) {
    // Other test files may be starting the last one's bundle right now.
    await writeFile(`${file}.${process.pid}`, contents);
    await rename(`${file}.${process.pid}`, file);
  }
  process.env["ASSAY_WORKERS"] = folder;
}

/** Once before the tests of a file that import with threads, or Parquet. */
export function bundleWorkers(): Promise<void> {
  bundled ??= bundleAll();
  return bundled;
}
