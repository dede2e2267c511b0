// The memory forecast as a table: a row a part, a column a way to keep the weights, every cell with its arithmetic.
import type { MemoryColumn } from "#shared/domain/model";
import { formatBytes } from "../../lib/format.ts";

export const columnNames: Readonly<Record<MemoryColumn["precision"], string>> = {
  fp32: "fp32",
  bf16: "bf16",
  "lora-bf16": "LoRA on bf16",
  int8: "int8",
};

type Figure = { readonly value: number; readonly how: string };
export type MemoryRow = {
  readonly key: string;
  readonly label: string;
  readonly isTotal: boolean;
  /** One a column; null where this way of keeping weights has no such part. */
  readonly cells: readonly (Figure | null)[];
};
export type MemoryGroup = {
  readonly key: "train" | "run";
  readonly title: string;
  readonly rows: readonly MemoryRow[];
};

const trainParts = [
  ["weights", "weights"],
  ["gradients", "gradients"],
  ["optimizer", "optimizer"],
  ["activations", "activations"],
  ["workspace", "work space"],
  ["total", "to train"],
] as const;

const runParts = [
  ["weights", "weights"],
  ["cache", "keys and values"],
  ["workspace", "work space"],
  ["total", "to run"],
] as const;

export function memoryGroups(columns: readonly MemoryColumn[]): readonly MemoryGroup[] {
  return [
    {
      key: "train",
      title: "Train",
      rows: trainParts.map(([part, label]) => ({
        key: `train-${part}`,
        label,
        isTotal: part === "total",
        cells: columns.map((column) => column.train?.[part] ?? null),
      })),
    },
    {
      key: "run",
      title: "Run",
      rows: runParts.map(([part, label]) => ({
        key: `run-${part}`,
        label,
        isTotal: part === "total",
        cells: columns.map((column) => column.run[part]),
      })),
    },
  ];
}

/** Which ways fit into this machine, in a sentence. */
export function fitText(columns: readonly MemoryColumn[], machineBytes: number): string {
  const fits = (bytes: number | undefined): boolean => bytes !== undefined && bytes <= machineBytes;
  const names = (kept: readonly MemoryColumn[]): string =>
    kept.map(({ precision }) => columnNames[precision]).join(", ");
  const trains = columns.filter((column) => fits(column.train?.total.value));
  const runs = columns.filter((column) => fits(column.run.total.value));
  const trainable = columns.filter((column) => column.train !== null);
  const part = (kept: readonly MemoryColumn[], all: readonly MemoryColumn[], verb: string): string =>
    kept.length === 0
      ? `does not ${verb} here`
      : kept.length === all.length
        ? `${verb}s here`
        : `${verb}s here as ${names(kept)}`;
  return `Of this computer's ${formatBytes(machineBytes)}: it ${part(trains, trainable, "train")} and ${part(runs, columns, "run")}.`;
}
