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

/** The total first: it decides, its parts say why. */
const trainParts = [
  ["total", "to train"],
  ["weights", "weights"],
  ["gradients", "gradients"],
  ["optimizer", "optimizer"],
  ["activations", "activations"],
  ["workspace", "work space"],
] as const;

const runParts = [
  ["total", "to run"],
  ["weights", "weights"],
  ["cache", "keys and values"],
  ["workspace", "work space"],
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
  const inWhich = (all: readonly MemoryColumn[], fitting: readonly MemoryColumn[]): string =>
    fitting.length === all.length ? "" : ` as ${fitting.map(({ precision }) => columnNames[precision]).join(" or ")}`;
  const runs = columns.filter(({ run }) => run.total.value <= machineBytes);
  const trainable = columns.filter(({ train }) => train !== null);
  const trains = trainable.filter(({ train }) => train !== null && train.total.value <= machineBytes);
  const has = `This computer has ${formatBytes(machineBytes)}`;
  if (runs.length === 0) {
    return `${has}: too little to run it in any of these forms.`;
  }
  const toRun = `enough to run it${inWhich(columns, runs)}`;
  return trains.length === 0
    ? `${has}: ${toRun}, not to train it like this.`
    : `${has}: ${toRun}, and to train it${inWhich(trainable, trains)}.`;
}
