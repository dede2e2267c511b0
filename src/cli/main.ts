// The command line: finds the command, reads its words, runs it, and turns whatever goes wrong into one sentence on
// standard error (or one JSON object) and an exit code: 0 done, 1 the work failed, 2 the request was wrong.
import process from "node:process";
import { AppError, type ErrorCode, toErrorEnvelope } from "#shared/errors";
import { badRequest, type CommandSpec, readCall, usageText } from "./arguments.ts";
import { commands } from "./commands.ts";
import { note, say, sayJson } from "./output.ts";

/** Codes that mean the request itself was wrong; everything else is work that failed. */
const requestCodes: ReadonlySet<ErrorCode> = new Set([
  "BAD_ARGUMENT",
  "CORPUS_NOT_FOUND",
  "CUDA_NOT_AVAILABLE",
  "FETCH_NOT_FOUND",
  "FILE_NOT_FOUND",
  "FORMAT_VERSION_UNKNOWN",
  "NOT_SUPPORTED",
  "RECIPE_INVALID",
  "RECIPE_NOT_FOUND",
  "RUN_AMBIGUOUS",
  "RUN_NOT_FOUND",
  "RUN_STATE_WRONG",
  "TOKENIZER_NOT_FOUND",
  "CHECKPOINT_NOT_FOUND",
]);

function overview(): string {
  const width = Math.max(...commands.map((each) => each.name.length));
  const rows = commands.map((each) => `  ${each.name.padEnd(width)}  ${each.summary}`);
  return `usage: assay COMMAND [options]\n\n${rows.join("\n")}\n\n\`assay COMMAND --help\` tells a command's options.\n`;
}

/** The command its first words name, the longest name first. */
function findCommand(words: readonly string[]): { readonly spec: CommandSpec; readonly rest: readonly string[] } {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const spec = commands.find((each) => each.name === name);
    if (spec !== undefined && words.length >= length) {
      return { spec, rest: words.slice(length) };
    }
  }
  const group = commands.filter((each) => each.name.startsWith(`${words[0]} `)).map((each) => each.name);
  if (group.length > 0) {
    throw badRequest(
      `\`assay ${words[0]}\` is followed by one of: ${group.map((name) => name.split(" ")[1]).join(", ")}.`,
    );
  }
  throw badRequest(`There is no command "${words[0]}"; \`assay --help\` lists them.`);
}

async function main(words: readonly string[]): Promise<number> {
  const wantsJson = words.includes("--json");
  try {
    if (words.length === 0 || words[0] === "--help" || words[0] === "help") {
      say(overview());
      return words.length === 0 ? 2 : 0;
    }
    const { spec, rest } = findCommand(words);
    const call = readCall(spec, rest);
    if (call === "help") {
      say(usageText(spec));
      return 0;
    }
    await spec.run(call);
    // A command that has already said what failed sets process.exitCode itself.
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    const envelope = toErrorEnvelope(error);
    if (wantsJson) {
      sayJson({ error: envelope });
    } else {
      note(envelope.hint === undefined ? envelope.message : `${envelope.message} ${envelope.hint}`);
      if (envelope.code === "BUG" && error instanceof Error && !(error instanceof AppError)) {
        note(`This is a bug in Assay; please report it with these lines.\n${error.stack ?? ""}`);
      }
    }
    return requestCodes.has(envelope.code) ? 2 : 1;
  }
}

// A closed pipe (`assay … | head`) is the reader's choice, not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});
process.exitCode = await main(process.argv.slice(2));
