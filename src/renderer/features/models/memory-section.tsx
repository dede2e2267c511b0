// The forecast of memory: to train and to run, by how the weights are kept, side by side. Every figure opens the
// arithmetic it comes from.
import { Fragment, useId, useState } from "react";
import { formatBytes } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { columnNames, fitText, type MemoryGroup, memoryGroups } from "./memory-rows.ts";
import { changeMemory, type Memory, openModel, useModels } from "./store.ts";

export function MemorySection() {
  const { value, error, isLoading } = useModels((state) => state.memory);
  return (
    <section className="model-section" aria-labelledby="memory-title">
      <div className="model-section-head">
        <h2 id="memory-title">Memory</h2>
        <MemoryControls />
      </div>
      {error === null ? null : <MemoryProblem message={error} />}
      {value === null ? (
        error === null ? (
          <p className="muted">Working out the memory…</p>
        ) : null
      ) : (
        <div className={isLoading ? "is-loading" : ""} aria-busy={isLoading}>
          <MemoryTable memory={value} />
        </div>
      )}
    </section>
  );
}

function MemoryProblem({ message }: { readonly message: string }) {
  const open = useModels((state) => state.open);
  return (
    <p className="bad">
      {message}{" "}
      {open === null ? null : (
        <button type="button" className="text-button" onClick={() => void openModel(open, { isAgain: true })}>
          Try again
        </button>
      )}
    </p>
  );
}

function MemoryTable({ memory }: { readonly memory: Memory }) {
  const { columns, machineBytes } = memory;
  const [openCell, setOpenCell] = useState<{ readonly row: string; readonly column: number } | null>(null);
  const groups = memoryGroups(columns);
  const asText = (): string =>
    tableText(
      ["bytes", ...columns.map(({ precision }) => columnNames[precision])],
      groups.flatMap((group) =>
        group.rows.map((row) => [`${group.title}, ${row.label}`, ...row.cells.map((cell) => cell?.value ?? null)]),
      ),
    );
  return (
    <>
      <table className="table memory-table" aria-label="Memory by how weights are kept">
        <thead>
          <tr>
            <th scope="col">
              <span className="sr-only">part</span>
            </th>
            {columns.map(({ precision }) => (
              <th key={precision} scope="col" className="number">
                {columnNames[precision]}
              </th>
            ))}
          </tr>
        </thead>
        {groups.map((group) => (
          <Group
            key={group.key}
            group={group}
            machineBytes={machineBytes}
            openCell={openCell}
            onOpen={(row, column) =>
              setOpenCell(openCell?.row === row && openCell.column === column ? null : { row, column })
            }
          />
        ))}
      </table>
      <p className="model-note">
        <span data-testid="memory-fit">{fitText(columns, machineBytes)}</span>
        <CopyButton className="small" text={asText}>
          Copy table
        </CopyButton>
      </p>
    </>
  );
}

type GroupProps = {
  readonly group: MemoryGroup;
  readonly machineBytes: number;
  readonly openCell: { readonly row: string; readonly column: number } | null;
  readonly onOpen: (row: string, column: number) => void;
};

function Group({ group, machineBytes, openCell, onOpen }: GroupProps) {
  const id = useId();
  return (
    <tbody>
      {group.rows.map((row) => {
        const opened = openCell?.row === row.key ? row.cells[openCell.column] : null;
        return (
          <Fragment key={row.key}>
            <tr className={row.isTotal ? "memory-total" : ""}>
              <th scope="row">{row.label}</th>
              {row.cells.map((cell, column) => (
                // oxlint-disable-next-line react/no-array-index-key -- columns have no other name here and never move
                <td key={`${row.key}-${column}`} className="number">
                  {cell === null ? (
                    <span className="muted" title="Weights kept like this are not trained">
                      –
                    </span>
                  ) : (
                    <button
                      type="button"
                      className={row.isTotal && cell.value > machineBytes ? "figure-button warn" : "figure-button"}
                      aria-expanded={openCell?.row === row.key && openCell.column === column}
                      aria-controls={id}
                      title={cell.how}
                      onClick={() => onOpen(row.key, column)}
                    >
                      {formatBytes(cell.value)}
                    </button>
                  )}
                </td>
              ))}
            </tr>
            {opened === null || opened === undefined ? null : (
              <tr className="memory-how" id={id}>
                <td colSpan={row.cells.length + 1}>{opened.how}</td>
              </tr>
            )}
          </Fragment>
        );
      })}
    </tbody>
  );
}

function NumberField({
  label,
  value,
  min,
  max,
  onChange,
}: {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly onChange: (value: number) => void;
}) {
  const [text, setText] = useState<string | null>(null);
  const shown = text ?? String(value);
  const parsed = Number(shown);
  const isWrong = !Number.isInteger(parsed) || parsed < min || parsed > max;
  return (
    <label className="memory-control">
      <span className="muted">{label}</span>
      <input
        className="input small-input"
        inputMode="numeric"
        value={shown}
        aria-invalid={isWrong}
        title={isWrong ? `A whole number from ${min} to ${max}` : undefined}
        onChange={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          const number = Number(typed);
          if (typed.trim() !== "" && Number.isInteger(number) && number >= min && number <= max) {
            onChange(number);
          }
        }}
        onBlur={() => setText(null)}
      />
    </label>
  );
}

function MemoryControls() {
  const form = useModels((state) => state.memoryForm);
  const context = useModels((state) => state.description.value?.shape.context ?? null);
  const width = useModels((state) => state.description.value?.shape.width ?? null);
  if (context === null || width === null) {
    return null;
  }
  return (
    <div className="memory-controls">
      <NumberField
        label="windows at once"
        value={form.microbatch}
        min={1}
        max={4096}
        onChange={(microbatch) => changeMemory({ microbatch })}
      />
      <NumberField
        label="tokens each"
        value={Math.min(form.context ?? context, context)}
        min={1}
        max={context}
        onChange={(tokens) => changeMemory({ context: tokens })}
      />
      <NumberField
        label="LoRA rank"
        value={Math.min(form.loraRank, width)}
        min={1}
        max={Math.min(1024, width)}
        onChange={(loraRank) => changeMemory({ loraRank })}
      />
    </div>
  );
}
