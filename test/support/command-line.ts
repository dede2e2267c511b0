// The command line as a program of its own, from the sources as they are now.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { bundle } from "./runner.ts";

let bundled: Promise<string> | undefined;

export type CommandResult = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** `before`: what a shell does first, such as setting a limit. */
export async function startAssay(
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
  before: string | null = null,
): Promise<{ readonly child: ChildProcess; readonly ended: Promise<CommandResult> }> {
  bundled ??= bundle("cli", 'import "./src/cli/main.ts";');
  const command = [process.execPath, await bundled, ...words];
  const [program = "", ...rest] = before === null ? command : ["sh", "-c", `${before}; exec "$@"`, "sh", ...command];
  const child = spawn(program, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HF_TOKEN: "", ...env },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = once(child, "close").then(() => ({ code: child.exitCode, stdout, stderr }));
  return { child, ended };
}

export async function assay(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  return (await startAssay(words, env)).ended;
}
