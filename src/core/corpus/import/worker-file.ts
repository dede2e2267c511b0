// Where the bundles of the threads lie.
import path from "node:path";
import { programRoot } from "../../paths.ts";

export function workerFile(name: "import-worker" | "parquet-worker" | "stream-worker"): string {
  // Tests run bundles of the sources as they are.
  return path.join(process.env["ASSAY_WORKERS"] ?? path.join(programRoot(), "dist", "core"), `${name}.js`);
}
