// The threads of the corpus' commands, bundled from the sources as they are now, where this process and those it starts
// find them.
import { rmSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { programRoot } from "#core/paths";

let bundled: Promise<void> | undefined;

async function bundleAll(): Promise<void> {
  const root = programRoot();
  // A folder of this process's own: other test files may be bundling at the same time.
  const folder = path.join(root, "build", "test", `workers-${process.pid}`);
  await build({
    absWorkingDir: root,
    entryPoints: {
      "import-worker": "src/core/corpus/import/import-worker.ts",
      "parquet-worker": "src/core/corpus/import/parquet-worker.ts",
    },
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    outdir: folder,
    logLevel: "warning",
  });
  process.env["ASSAY_WORKERS"] = folder;
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
}

/** Once before the tests of a file that import with threads, or Parquet. */
export function bundleWorkers(): Promise<void> {
  bundled ??= bundleAll();
  return bundled;
}
