// assay fetch: a model or tokenizer from a hub, when asked, into the workspace or a folder.
import path from "node:path";
import process from "node:process";
import { fetchedFolder, fetchModel } from "#core/models/fetch/fetch";
import { PUBLIC_ENDPOINT } from "#core/models/fetch/hub";
import { workspacePath } from "#core/paths";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatBytes, Progress, say, sayJson } from "../output.ts";

function fromEnvironment(name: string): string | null {
  const value = process.env[name];
  return value === undefined || value === "" ? null : value;
}

export const fetchCommand: CommandSpec = {
  name: "fetch",
  summary: "download a model and its tokenizer from a hub, such as hf:stanford-crfm/BioMedLM; goes on where it stopped",
  operands: "hf:ORG/NAME[@REVISION]",
  minOperands: 1,
  maxOperands: 1,
  options: {
    out: { type: "string", value: "DIR", help: "where to put it (default: models/ORG/NAME in the workspace)" },
    files: {
      type: "string",
      value: "GLOB",
      multiple: true,
      help: "only these of its files (default: the model, safetensors before .bin, and its tokenizer)",
    },
    endpoint: { type: "string", value: "URL", help: "the hub's address (default: $HF_ENDPOINT, else the public hub)" },
    "token-env": {
      type: "string",
      value: "NAME",
      help: "the environment variable that holds an access token (default: HF_TOKEN)",
    },
  },
  run: async (call) => {
    const [source = ""] = call.operands;
    if (!source.startsWith("hf:")) {
      throw badRequest(`\`assay fetch\` takes hf:ORGANISATION/NAME, not "${source}".`);
    }
    const tokenName = call.text("token-env");
    const token = fromEnvironment(tokenName ?? "HF_TOKEN");
    if (tokenName !== undefined && token === null) {
      throw badRequest(`The environment variable ${tokenName} that --token-env names is not set.`);
    }
    const out = call.text("out");
    const folder = out === undefined ? fetchedFolder(workspacePath(call.workspace), source) : path.resolve(out);
    const interrupt = new AbortController();
    process.once("SIGINT", () => interrupt.abort());
    const progress = new Progress(source, "bytes");
    const report = await fetchModel({
      source,
      folder,
      endpoint: call.text("endpoint") ?? fromEnvironment("HF_ENDPOINT") ?? PUBLIC_ENDPOINT,
      token,
      files: call.texts("files"),
      signal: interrupt.signal,
      onProgress: ({ file, doneBytes, totalBytes }) => progress.update(doneBytes, totalBytes, file),
    });
    const bytes = report.files.reduce((sum, file) => sum + file.bytes, 0);
    progress.end(formatBytes(bytes));
    if (call.json) {
      sayJson(report);
      return;
    }
    for (const file of report.files) {
      say(`${formatBytes(file.bytes).padStart(8)}  ${file.path}${file.wasThere ? "  (was there)" : ""}`);
    }
    say(`${report.repository} at ${report.commit.slice(0, 12)} is in ${report.folder}`);
  },
};
