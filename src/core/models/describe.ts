// What a model is, from headers and small files alone: family, head, shape, exact size, types, files, and whether its
// tokenizer belongs to it. Reads no weights, so that a model of billions of parameters is described at once.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { LintFinding, ModelDescription } from "#shared/domain/model";
import type { NativeHead, NativeLora, NativeModelConfig } from "../engine/addon.ts";
import { readCheckpoint } from "../runs/checkpoints.ts";
import { isAdapterFolder, readAdapterFolder } from "./adapter.ts";
import { readFetchNote } from "./fetch/note.ts";
import { configOfGguf, huggingFaceName, specialIdsOfGguf, tokenizerFactsOfGguf } from "./gguf/gpt2.ts";
import { type GgufHeader, readGgufHeader } from "./gguf/reader.ts";
import { architectureName } from "./hugging-face/architectures.ts";
import type { SpecialIds } from "./hugging-face/config-fields.ts";
import { type ModelFolder, readModelFolder } from "./hugging-face.ts";
import { knownShapeName } from "./known-shapes.ts";
import { lintTokenizer } from "./lint.ts";
import { findModel } from "./load.ts";
import { namedTokenizerFacts } from "./named-tokenizer.ts";
import { readTensorHeaders, type TensorHeader } from "./tensor-headers.ts";
import { elementCount, isHeadTensor, modelTensors, parameterCount } from "./tensors.ts";
import { readTokenizerFacts, type TokenizerFacts } from "./tokenizer-facts.ts";

/** What the window shows, and what the command line and a run's start need besides. */
export type DescribedModel = Omit<ModelDescription, "adapter"> & {
  readonly config: NativeModelConfig;
  readonly special: SpecialIds;
  /** False for a bare model, whose head starts untrained. */
  readonly hasHead: boolean;
  /** How much of the file is of which type, the most first. */
  readonly types: readonly { readonly dtype: string; readonly tensors: number; readonly sizeBytes: number }[];
  readonly adapter: { readonly base: string; readonly lora: NativeLora } | null;
  readonly tokenizerFacts: TokenizerFacts | null;
  /** What is wrong or worth knowing, with the lint against the tokenizer; the gravest first. */
  readonly findings: readonly LintFinding[];
};

const bytesOfType: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  Q8_0: 34 / 32,
};

const weightFile = /\.(safetensors|bin|pt|pth|gguf)$|\.index\.json$/;

/** The files of a folder that make up the model, the largest first; of a single file, itself. */
async function filesOf(source: string): Promise<ModelDescription["files"]> {
  const info = await stat(source);
  if (!info.isDirectory()) {
    return [{ name: path.basename(source), sizeBytes: info.size }];
  }
  const files: ModelDescription["files"] = [];
  for (const name of await readdir(source)) {
    const found = await stat(path.join(source, name)).catch(() => null);
    if (found?.isFile() === true && (weightFile.test(name) || /\.(json|txt)$/.test(name))) {
      files.push({ name, sizeBytes: found.size });
    }
  }
  return files.toSorted((a, b) => b.sizeBytes - a.sizeBytes || a.name.localeCompare(b.name));
}

/** Buffers that some exports carry and no model needs. */
function isBuffer(name: string): boolean {
  return /(^|\.)attn\.(bias|masked_bias)$|(^|\.)embeddings\.(position_ids|token_type_ids)$/.test(name);
}

/** Copies of tied weights. */
function isTiedCopy(name: string): boolean {
  return /(^|\.)(lm_head\.weight|cls\.predictions\.decoder\.(weight|bias))$/.test(name);
}

function withoutPrefix(name: string): string {
  return name.replace(/^(transformer|bert)\./, "");
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

type Comparison = {
  readonly missing: string[];
  readonly unexpected: string[];
  readonly findings: readonly LintFinding[];
};

/** What a file's tensors lack, have too much, or have in another shape than its config.json says. */
function compareTensors(config: NativeModelConfig, hasHead: boolean, tensors: readonly TensorHeader[]): Comparison {
  const found = new Map(tensors.map((tensor) => [withoutPrefix(tensor.name), tensor]));
  const wanted = modelTensors(config);
  const expected = hasHead ? wanted : wanted.filter(({ name }) => !isHeadTensor(config, name));
  const missing = wanted.map(({ name }) => name).filter((name) => !found.has(withoutPrefix(name)));
  const needed = new Set(expected.map(({ name }) => name));
  const lacking = missing.filter((name) => needed.has(name));
  const wrong = expected.flatMap(({ name, shape }) => {
    const tensor = found.get(withoutPrefix(name));
    return tensor === undefined || tensor.shape.join() === shape.join()
      ? []
      : [`${name} is (${tensor.shape.join(", ")}) instead of (${shape.join(", ")})`];
  });
  const known = new Set(wanted.map(({ name }) => withoutPrefix(name)));
  const unexpected = tensors
    .map(({ name }) => name)
    .filter((name) => !known.has(withoutPrefix(name)) && !isBuffer(name) && !isTiedCopy(name));
  const findings: LintFinding[] = [];
  if (lacking.length > 0) {
    findings.push({
      code: "TENSORS_MISSING",
      severity: "error",
      message: `The file lacks ${lacking.length} of the ${expected.length} tensors that its config.json asks for: ${listed(lacking)}.`,
    });
  }
  if (wrong.length > 0) {
    findings.push({
      code: "TENSORS_MISSHAPEN",
      severity: "error",
      message: `The shapes of the file's tensors are not those of its config.json: ${listed(wrong)}.`,
    });
  }
  if (unexpected.length > 0) {
    findings.push({
      code: "TENSORS_UNUSED",
      severity: "note",
      message: `The model has no place for ${unexpected.length} of the file's tensors: ${listed(unexpected)}.`,
    });
  }
  return { missing, unexpected, findings };
}

function bytesOf({ dtype, shape }: Pick<TensorHeader, "dtype" | "shape">): number {
  return elementCount(shape) * (bytesOfType[dtype] ?? 0);
}

function typesOf(tensors: readonly TensorHeader[]): DescribedModel["types"] {
  const types = new Map<string, { tensors: number; sizeBytes: number }>();
  for (const tensor of tensors) {
    const sum = types.get(tensor.dtype) ?? { tensors: 0, sizeBytes: 0 };
    types.set(tensor.dtype, { tensors: sum.tensors + 1, sizeBytes: sum.sizeBytes + bytesOf(tensor) });
  }
  return [...types].map(([dtype, sum]) => ({ dtype, ...sum })).toSorted((a, b) => b.sizeBytes - a.sizeBytes);
}

function shapeOf(config: NativeModelConfig): ModelDescription["shape"] {
  return {
    layers: config.nLayers,
    width: config.dModel,
    heads: config.nHeads,
    inner: config.dInner,
    context: config.maxSeqLen,
    vocabulary: config.vocabSize,
    tokenTypes: config.typeVocabSize,
    labels: config.labels,
    activation: config.activation,
  };
}

type Described = Comparison & {
  readonly config: NativeModelConfig;
  readonly hasHead: boolean;
  readonly architecture: string | null;
  readonly special: SpecialIds;
  readonly format: ModelDescription["format"];
  readonly tensors: readonly TensorHeader[];
  readonly provenance: ModelDescription["provenance"];
};

function describeGguf(header: GgufHeader): Described {
  const config = configOfGguf(header);
  const comparison = compareTensors(
    config,
    true,
    header.tensors.map(({ name, dtype, shape }) => {
      const mapped = huggingFaceName(name);
      return {
        name: mapped?.name ?? name,
        dtype,
        shape: mapped?.isTransposed === true ? shape.toReversed() : shape,
      };
    }),
  );
  const name = header.metadata.get("general.name");
  return {
    ...comparison,
    config,
    hasHead: true,
    architecture: null,
    special: specialIdsOfGguf(header),
    format: "gguf",
    tensors: header.tensors,
    provenance: typeof name === "string" ? [{ label: "Name", value: name }] : [],
  };
}

/** What config.json and a checkpoint's training_state.json say of where the model comes from. */
async function provenanceOf(folder: string, json: ModelFolder["json"]): Promise<ModelDescription["provenance"]> {
  const lines: ModelDescription["provenance"] = [];
  for (const [key, label] of [
    ["_name_or_path", "Name"],
    ["transformers_version", "Transformers"],
  ] as const) {
    const value = json[key];
    if (typeof value === "string" && value !== "") {
      lines.push({ label, value });
    }
  }
  const note = await readFetchNote(folder);
  if (note !== null) {
    lines.push({ label: "Fetched", value: `hf:${note.repository}@${note.commit.slice(0, 12)}` });
  }
  const checkpoint = await readCheckpoint(folder, "sizes").catch(() => null);
  if (checkpoint !== null) {
    lines.push(
      { label: "Run", value: checkpoint.state.run },
      { label: "Step", value: String(checkpoint.step) },
      { label: "Written", value: checkpoint.state.created_at },
    );
  }
  return lines;
}

async function describeFolder(folder: string, weights: string, head: NativeHead | undefined): Promise<Described> {
  const { format, tensors } = readTensorHeaders(weights);
  const model = await readModelFolder(folder, { tensors, ...(head === undefined ? {} : { head }) });
  const comparison = compareTensors(model.config, model.hasHead, tensors);
  const findings = [...comparison.findings];
  if (!model.hasHead) {
    findings.push({
      code: "HEAD_UNTRAINED",
      severity: "note",
      message: `The file holds no ${model.config.head} head: the model can be fine-tuned, but says nothing sensible as it is.`,
    });
  }
  if (model.scalesByInverseLayer) {
    findings.push({
      code: "INVERSE_LAYER_SCALING",
      severity: "note",
      message:
        "Attention scores of layer i are also divided by i + 1 (scale_attn_by_inverse_layer_idx); this is put into the query weights when they are loaded.",
    });
  }
  return { ...comparison, ...model, findings, format, tensors, provenance: await provenanceOf(folder, model.json) };
}

/** Where config.json and tokenizer lie, and the path whose headers are the weights'. */
async function placesOf(
  source: string,
  workspace: string,
): Promise<{ readonly folder: string; readonly weights: string }> {
  const info = await stat(source).catch(() => null);
  if (info?.isFile() === true) {
    const weights = path.resolve(source);
    return { folder: path.dirname(weights), weights };
  }
  const folder = await findModel(source, workspace);
  return { folder, weights: folder };
}

const severityOrder = { error: 0, warning: 1, note: 2 } as const;

const noTokenizer: LintFinding = {
  code: "TOKENIZER_MISSING",
  severity: "warning",
  message: "No tokenizer lies with the model; name the one it was trained with.",
};

/**
 * Describes a folder, a run's newest checkpoint, a PEFT adapter, a GGUF, or one file of weights with its config.json
 * beside. `tokenizer` is held against the model in place of its own; `head` is what it shall be fine-tuned for.
 */
export async function describeModel(
  source: string,
  options: { readonly workspace: string; readonly tokenizer?: string; readonly head?: NativeHead },
): Promise<DescribedModel> {
  const own = await placesOf(source, options.workspace);
  const adapter = (await isAdapterFolder(own.folder)) ? await readAdapterFolder(own.folder) : null;
  const base = adapter === null ? own : await placesOf(adapter.base, options.workspace);
  let described: Described;
  let tokenizer: TokenizerFacts | null;
  if (base.weights.endsWith(".gguf")) {
    const header = readGgufHeader(base.weights);
    described = describeGguf(header);
    tokenizer = tokenizerFactsOfGguf(header);
  } else {
    described = await describeFolder(base.folder, base.weights, options.head);
    tokenizer = (await readTokenizerFacts(own.folder)) ?? (await readTokenizerFacts(base.folder));
  }
  if (options.tokenizer !== undefined) {
    tokenizer = await namedTokenizerFacts(options.tokenizer, options.workspace);
  }
  const { config, special, hasHead, format, missing, unexpected, provenance } = described;
  const lint = tokenizer === null ? [noTokenizer] : lintTokenizer(config, special, tokenizer);
  const count = parameterCount(config);
  return {
    source: own.weights,
    name: path.basename(own.weights),
    architecture: described.architecture ?? architectureName(config),
    family: config.family,
    head: config.head,
    hasHead,
    config,
    special,
    shape: shapeOf(config),
    parameters: {
      value: count,
      how: `The sum of ${modelTensors(config).length} tensors of the ${config.head} model, each tied one counted once.`,
    },
    publishedName: knownShapeName(config),
    format,
    types: typesOf(described.tensors),
    files: await filesOf(own.weights),
    tensors: described.tensors.map((tensor) => ({
      name: tensor.name,
      dtype: tensor.dtype,
      shape: [...tensor.shape],
      sizeBytes: bytesOf(tensor),
    })),
    tokenizer:
      tokenizer === null ? null : { source: tokenizer.source, kind: tokenizer.kind, vocabSize: tokenizer.vocabSize },
    tokenizerFacts: tokenizer,
    adapter: adapter === null ? null : { base: base.weights, lora: adapter.lora },
    provenance,
    missing,
    unexpected,
    findings: [...described.findings, ...lint].toSorted(
      (a, b) => severityOrder[a.severity] - severityOrder[b.severity],
    ),
  };
}
