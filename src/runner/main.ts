// The detached process that drives one run directory.
// usage: node dist/runner/main.js RUN_DIRECTORY [--workspace DIR]
// Exit codes: 0 completed or stopped as asked, 1 failed (run.json says why), 2 the request was wrong.
import path from "node:path";
import { parseArgs } from "node:util";
import { workspaceOfRun } from "#core/runs/directory";
import { toErrorEnvelope } from "#shared/errors";
import { driveRun } from "./drive.ts";

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { workspace: { type: "string" } } });
  const [operand] = positionals;
  if (operand === undefined || positionals.length > 1) {
    console.error("usage: node dist/runner/main.js RUN_DIRECTORY [--workspace DIR]");
    return 2;
  }
  const directory = path.resolve(operand);
  return driveRun(directory, workspaceOfRun(directory, values.workspace));
}

try {
  process.exitCode = await main();
} catch (error) {
  // Standard error is the run's log.
  const { code, message, details } = toErrorEnvelope(error);
  console.error(`${message} (${code})`);
  if (code === "BUG") {
    console.error(details?.["stack"]);
  }
  process.exitCode = 1;
}
