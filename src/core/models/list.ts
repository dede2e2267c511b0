// The models one can look at: checkpoints of runs, what was exported or fetched into the workspace, and paths anywhere
// that the user opened. Only directories and config.json are read, so that a workspace of large models lists at once.
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { ModelFamilyName, ModelInfo } from "#shared/domain/model";
import { listCheckpoints } from "../runs/checkpoints.ts";
import { listRuns } from "../runs/status.ts";
import { readGgufHeader } from "./gguf/reader.ts";

const families: Readonly<Record<string, ModelFamilyName>> = {
  gpt2: "gpt2",
  bert: "bert",
  "megatron-bert": "megatron_bert",
};

const weightFile = /\.(safetensors|bin|pt|gguf)$/u;
/** What lies beside weights with the same endings. */
const notWeights = /^(optimizer|training_args|scheduler|rng_state)/u;

function isModelFile(name: string): boolean {
  return weightFile.test(name) && !notWeights.test(name);
}

type Folder = { readonly sizeBytes: number; readonly modifiedAt: string | null; readonly hasWeights: boolean };

async function weightsOf(folder: string): Promise<Folder> {
  const names = (await readdir(folder)).filter(isModelFile);
  const found = await Promise.all(names.map((name) => stat(path.join(folder, name)).catch(() => null)));
  const files = found.flatMap((info) => (info?.isFile() ? [info] : []));
  const newest = Math.max(...files.map((info) => info.mtimeMs));
  return {
    sizeBytes: files.reduce((sum, info) => sum + info.size, 0),
    modifiedAt: files.length === 0 ? null : new Date(newest).toISOString(),
    hasWeights: files.length > 0,
  };
}

/** GGUF says it in its metadata. */
function familyOfGguf(file: string): ModelFamilyName | null {
  try {
    const architecture = readGgufHeader(file).metadata.get("general.architecture");
    return typeof architecture === "string" ? (families[architecture] ?? null) : null;
  } catch {
    return null;
  }
}

/** A config.json is some kilobytes; one that claims to be more is none. */
const MAX_CONFIG_BYTES = 4 << 20;

async function familyOf(folder: string): Promise<ModelFamilyName | null> {
  const file = path.join(folder, "config.json");
  try {
    if ((await stat(file)).size > MAX_CONFIG_BYTES) {
      return null;
    }
    const config: unknown = JSON.parse(await readFile(file, "utf8"));
    const type = typeof config === "object" && config !== null && "model_type" in config ? config.model_type : null;
    return typeof type === "string" ? (families[type] ?? null) : null;
  } catch {
    return null;
  }
}

type Identity = Pick<ModelInfo, "source" | "origin" | "run" | "name" | "step">;

async function infoOf(identity: Identity): Promise<ModelInfo> {
  const { source } = identity;
  try {
    const info = await stat(source);
    const isFolder = info.isDirectory();
    const folder = isFolder ? source : path.dirname(source);
    const weights = isFolder
      ? await weightsOf(source)
      : { sizeBytes: info.size, modifiedAt: info.mtime.toISOString(), hasWeights: weightFile.test(source) };
    return {
      ...identity,
      family: source.endsWith(".gguf") ? familyOfGguf(source) : await familyOf(folder),
      sizeBytes: weights.sizeBytes,
      modifiedAt: weights.modifiedAt,
      problem: weights.hasWeights
        ? null
        : `${source} holds no weights: there is no .safetensors, pytorch_model.bin or .gguf in it.`,
    };
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && error.code === "ENOENT";
    return {
      ...identity,
      family: null,
      sizeBytes: 0,
      modifiedAt: null,
      problem: isGone
        ? `${source} is not there any more.`
        : `${source} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
    };
  }
}

/** One or two below `parent`: folders that hold weights (`exports/NAME`, `models/ORGANISATION/NAME`), and GGUF files. */
async function modelsBelow(parent: string, depth = 2): Promise<readonly string[]> {
  const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".gguf"));
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  const found = await Promise.all(
    folders.map(async (entry) => {
      const folder = path.join(parent, entry.name);
      const { hasWeights } = await weightsOf(folder).catch(() => ({ hasWeights: false }));
      return hasWeights ? [folder] : depth > 1 ? await modelsBelow(folder, depth - 1) : [];
    }),
  );
  return [...found.flat(), ...files.map((entry) => path.join(parent, entry.name))];
}

async function checkpointsOfRuns(workspace: string): Promise<readonly Identity[]> {
  const runs = await listRuns(workspace);
  const found = await Promise.all(
    runs.map(async (run) => {
      const checkpoints = await listCheckpoints(run.directory).catch(() => []);
      return checkpoints.map(
        (checkpoint): Identity => ({
          source: checkpoint.path,
          origin: "run",
          run: run.id,
          name: run.name,
          step: checkpoint.step,
        }),
      );
    }),
  );
  return found.flat();
}

/** In the order: checkpoints of runs, exports, fetched, opened; what is opened and lies in the workspace is listed once. */
export async function listModels(workspace: string, opened: readonly string[]): Promise<ModelInfo[]> {
  const inFolder = async (name: string, origin: "export" | "fetched"): Promise<readonly Identity[]> => {
    const parent = path.join(workspace, name);
    const folders = await modelsBelow(parent);
    return folders
      .toSorted()
      .map((source) => ({ source, origin, run: null, name: path.relative(parent, source), step: null }));
  };
  const own = (
    await Promise.all([checkpointsOfRuns(workspace), inFolder("exports", "export"), inFolder("models", "fetched")])
  ).flat();
  const known = new Set(own.map(({ source }) => source));
  const others = [...new Set(opened.map((each) => path.resolve(each)))]
    .filter((source) => !known.has(source))
    .map((source): Identity => ({ source, origin: "opened", run: null, name: path.basename(source), step: null }));
  return Promise.all([...own, ...others].map(infoOf));
}
