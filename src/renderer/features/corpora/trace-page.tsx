// From a place in training back to its documents: which texts a sequence of a step was cut from, and where.
import { useState } from "react";
import type { RequestOutput } from "#shared/ipc/contract";
import type { corporaContract } from "#shared/ipc/corpora.contract";
import { go } from "../../app/router.ts";
import { formatCount } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { EmptyState } from "../../ui/states.tsx";
import { useAsked } from "./store.ts";

type Trace = RequestOutput<typeof corporaContract, "corpora.trace">;

export function TracePage({
  run,
  step,
  sequence,
}: {
  readonly run: string | null;
  readonly step: number;
  readonly sequence: number;
}) {
  const runs = useAsked("runs.list", {});
  const chosen = run ?? runs.value?.[0]?.id ?? null;
  const trace = useAsked("corpora.trace", chosen === null ? null : { run: chosen, step, sequence });
  const [last, setLast] = useState<Trace | null>(null);
  if (trace.value !== null && trace.value !== last) {
    setLast(trace.value);
  }
  const shown = trace.error === null ? (trace.value ?? last) : null;
  if (runs.value?.length === 0 && run === null) {
    return (
      <EmptyState title="No runs yet" actions={<Button onClick={() => go("recipes")}>Train from a recipe</Button>}>
        <p>Once a model is trained, every sequence it has read can be traced back to its documents here.</p>
      </EmptyState>
    );
  }
  const open = (part: { run?: string; step?: number; sequence?: number }): void =>
    go("corpora", "trace", part.run ?? chosen ?? "", String(part.step ?? step), String(part.sequence ?? sequence));
  return (
    <div className="page trace-page">
      <h1>Trace a step</h1>
      <div className="trace-form">
        <label className="form-field">
          <span className="field-label">Run</span>
          <select
            className="select"
            value={chosen ?? ""}
            onChange={(event) => open({ run: event.currentTarget.value })}
          >
            {runs.value === null && chosen !== null ? <option value={chosen}>{chosen}</option> : null}
            {(runs.value ?? []).map((each) => (
              <option key={each.id} value={each.id}>
                {each.name}, {each.id}
              </option>
            ))}
          </select>
        </label>
        <Place label="Step" value={step} onValue={(value) => open({ step: value })} />
        <Place label="Sequence" value={sequence} onValue={(value) => open({ sequence: value })} />
        <div className="button-row">
          <Button disabled={sequence <= 1} onClick={() => open({ sequence: sequence - 1 })}>
            Previous
          </Button>
          <Button onClick={() => open({ sequence: sequence + 1 })}>Next</Button>
        </div>
      </div>
      {runs.error === null ? null : <p className="bad">The runs could not be listed: {runs.error}</p>}
      {trace.error === null ? null : (
        <p className="bad" role="alert">
          {trace.error}
        </p>
      )}
      {shown === null ? (
        trace.isLoading ? (
          <p className="muted">Looking it up…</p>
        ) : null
      ) : (
        <Sequence trace={shown} isOld={trace.value === null} />
      )}
    </div>
  );
}

function Place({
  label,
  value,
  onValue,
}: {
  readonly label: string;
  readonly value: number;
  readonly onValue: (value: number) => void;
}) {
  const [typing, setTyping] = useState<{ readonly of: number; readonly text: string } | null>(null);
  // What was typed belongs to the place it was typed at.
  const typed = typing?.of === value ? typing.text : String(value);
  const setTyped = (text: string): void => setTyping({ of: value, text });
  const commit = (): void => {
    if (/^[1-9]\d{0,14}$/u.test(typed.trim())) {
      if (Number(typed) !== value) {
        onValue(Number(typed));
      }
    } else {
      setTyped(String(value));
    }
  };
  return (
    <label className="form-field">
      <span className="field-label">{label}</span>
      <input
        className="input form-number"
        inputMode="numeric"
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === "Enter") {
            commit();
          }
        }}
      />
    </label>
  );
}

function Sequence({ trace, isOld }: { readonly trace: Trace; readonly isOld: boolean }) {
  const rows = trace.documents;
  return (
    <section className={isOld ? "trace is-loading" : "trace"} aria-labelledby="trace-title">
      <div className="corpus-section-head">
        <h2 id="trace-title">
          {formatCount(rows.length)} {rows.length === 1 ? "document" : "documents"}{" "}
          <span className="muted">
            in {formatCount(trace.tokenCount)} tokens, the first is token {formatCount(trace.firstToken)} of{" "}
            {trace.shard === null ? "the training text" : `${trace.shard.file} in ${trace.shard.folder}`}
          </span>
        </h2>
        <CopyButton
          className="small"
          text={() =>
            tableText(
              ["from", "to", "document", "number", "token of the document"],
              rows.map((row) => [row.from, row.to, row.id, row.document, row.documentOffset]),
            )
          }
        >
          Copy table
        </CopyButton>
      </div>
      <div className="trace-bar" aria-hidden="true">
        {rows.map((row, at) => (
          <span
            key={`${row.document} ${row.from}`}
            className={`trace-tint-${at % 4}`}
            style={{ flexGrow: row.to - row.from }}
            title={row.id}
          />
        ))}
      </div>
      <table className="table trace-table">
        <thead>
          <tr>
            <th scope="col">document</th>
            <th scope="col" className="number">
              tokens of the sequence
            </th>
            <th scope="col" className="number">
              tokens
            </th>
            <th scope="col" className="number">
              begins in the document at
            </th>
            <th scope="col" className="number optional">
              document number
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={`${row.document} ${row.from}`}>
              <td className="mono">
                <span className={`trace-key trace-tint-${at % 4}`} aria-hidden="true" />
                {row.id}
              </td>
              <td className="number">
                {formatCount(row.from)}–{formatCount(row.to - 1)}
              </td>
              <td className="number">{formatCount(row.to - row.from)}</td>
              <td className="number">{formatCount(row.documentOffset)}</td>
              <td className="number optional">{formatCount(row.document)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
