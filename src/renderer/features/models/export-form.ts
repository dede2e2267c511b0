// What an export asks: format, precision, how large its files are, and where it goes. Pure, with the sentence for what
// does not fit.
import type { ModelDescription } from "#shared/domain/model";

export type ExportForm = {
  readonly format: "safetensors" | "gguf" | "peft";
  readonly precision: "f32" | "f16" | "bf16" | "q8_0";
  /** `0` is one file. */
  readonly shardGigabytes: string;
  readonly name: string;
  /** The folder that gets it; null: the workspace's exports. */
  readonly parent: string | null;
};

export const precisionsOf: Readonly<Record<ExportForm["format"], readonly ExportForm["precision"][]>> = {
  safetensors: ["f32", "f16", "bf16"],
  gguf: ["f32", "f16", "q8_0"],
  peft: ["f32"],
};

export const precisionNotes: Readonly<Record<ExportForm["precision"], string>> = {
  f32: "as trained, 4 bytes a weight",
  f16: "2 bytes a weight, three significant digits, up to 65 504",
  bf16: "2 bytes a weight, two significant digits, the range of f32",
  q8_0: "about 1.06 bytes a weight, blocks of 32 with a scale",
};

const bytesAWeight: Readonly<Record<ExportForm["precision"], number>> = { f32: 4, f16: 2, bf16: 2, q8_0: 34 / 32 };

export function exportBytes(parameters: number, precision: ExportForm["precision"]): number {
  return parameters * bytesAWeight[precision];
}

const lastFolders = /([^\\/]+)[\\/]checkpoints[\\/](step-\d+)[\\/]?$/u;

/** A name that tells what it was made from: `biomedlm-tiny-step-450`. */
export function exportName(source: string): string {
  const [, run, step] = lastFolders.exec(source) ?? [];
  const base =
    run === undefined || step === undefined
      ? (source.split(/[\\/]/u).findLast((part) => part !== "") ?? "model").replace(/\.(safetensors|bin|gguf)$/u, "")
      : // A run's folder is <date>-<time>-<name>-<4 hex>.
        `${run.replace(/^\d{8}-\d{6}-/u, "").replace(/-[0-9a-f]{4}$/u, "")}-${step}`;
  const name = base
    .replace(/[^A-Za-z0-9._-]+/gu, "-")
    .replace(/^[^A-Za-z0-9]+/u, "")
    .slice(0, 80);
  return name === "" ? "model" : name;
}

export function exportForm(source: string): ExportForm {
  return { format: "safetensors", precision: "f32", shardGigabytes: "0", name: exportName(source), parent: null };
}

/** Where it goes: a folder for safetensors, a file for GGUF. */
export function exportTarget(form: ExportForm, exportsFolder: string): string {
  const target = `${form.parent ?? exportsFolder}/${form.name.trim()}`;
  return form.format === "gguf" ? `${target}.gguf` : target;
}

/** What a model can be written as: GGUF of what llama.cpp runs, PEFT of what has an adapter. */
export function formatsOf(
  model: Pick<ModelDescription, "family" | "head" | "adapter">,
): readonly { readonly value: ExportForm["format"]; readonly label: string }[] {
  return [
    { value: "safetensors", label: "safetensors" },
    ...(model.family === "gpt2" && model.head === "causal-lm" ? [{ value: "gguf", label: "GGUF" } as const] : []),
    ...(model.adapter === null ? [] : [{ value: "peft", label: "PEFT adapter" } as const]),
  ];
}

function shardBytes(text: string): number | null | undefined {
  const value = Number(text.trim().replace(",", "."));
  if (text.trim() === "" || Number.isNaN(value) || value < 0) {
    return undefined;
  }
  return value === 0 ? null : Math.round(value * 1e9);
}

/** What the form asks for, or the first thing wrong with it. */
export function parseExport(
  form: ExportForm,
  exportsFolder: string,
):
  | {
      readonly input: Pick<ExportForm, "format" | "precision"> & {
        readonly target: string;
        readonly shardBytes: number | null;
      };
    }
  | { readonly problem: string } {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/u.test(form.name.trim())) {
    return { problem: "The name takes letters, digits, dots, dashes and underscores; the first is a letter or digit." };
  }
  const bytes = form.format === "safetensors" ? shardBytes(form.shardGigabytes) : null;
  if (bytes === undefined) {
    return { problem: "The largest file is a number of gigabytes; 0 is one file." };
  }
  if (bytes !== null && bytes < 1_000_000) {
    return { problem: "The largest file is at least 0.001 GB; 0 is one file." };
  }
  const target = exportTarget(form, exportsFolder);
  return { input: { format: form.format, precision: form.precision, target, shardBytes: bytes } };
}
