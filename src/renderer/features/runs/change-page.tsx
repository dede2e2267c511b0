// Branching a run from a checkpoint, or letting it go on for longer: the keys that change, what that makes of the recipe,
// and what it will take. A run that exists is never changed by a branch.
import { X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { routeHash } from "../../app/router.ts";
import { formatBytes, formatCount, formatDuration } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { IconButton } from "../../ui/icon-button.tsx";
import { EmptyState, ErrorState } from "../../ui/states.tsx";
import { type ChangeRow, offeredKeys } from "./change-rows.ts";
import { addKey, beginChange, changeValue, removeKey, useChange } from "./change-store.ts";
import { type RunShown, refreshOpen, useRuns } from "./store.ts";

export function ChangePage({ run, step }: { readonly run: string; readonly step: number | null }) {
  const shown = useRuns((state) => state.shown);
  const error = useRuns((state) => state.shownError);
  const recipeText = shown?.recipeYaml ?? null;
  useEffect(() => {
    if (recipeText !== null && recipeText !== "") {
      beginChange(run, step, recipeText);
    }
  }, [run, step, recipeText]);
  if (shown === null) {
    return error === null ? (
      <p className="state-note">Reading {run}…</p>
    ) : (
      <ErrorState
        title="This run cannot be shown"
        message={error}
        actions={<Button onClick={refreshOpen}>Try again</Button>}
      />
    );
  }
  if (step !== null && shown.checkpoints.every((checkpoint) => checkpoint.step !== step)) {
    return (
      <EmptyState
        title={`There is no checkpoint of step ${formatCount(step)}`}
        actions={
          <a className="button" href={routeHash("runs", run)}>
            Back to the run
          </a>
        }
      >
        <p>It was rotated away, or never written. The run’s page lists those that are there.</p>
      </EmptyState>
    );
  }
  return <Form shown={shown} step={step} />;
}

function Form({ shown, step }: { readonly shown: RunShown; readonly step: number | null }) {
  const rows = useChange((state) => state.rows);
  const error = useChange((state) => state.error);
  const { name } = shown.summary;
  return (
    <div className="page form change-page">
      <h1>{step === null ? `Extend ${name}` : `Branch ${name} from step ${formatCount(step)}`}</h1>
      <p className="form-lead">
        {step === null
          ? "The same run goes on from its last checkpoint, with its optimizer, until the new max_duration. Its curve goes on without a gap."
          : "A new run begins with the weights and the optimizer of this checkpoint and goes on with what is changed here. The run it comes from stays as it is."}
      </p>
      <div className="change-rows">
        {rows.map((row) => (
          <Row key={row.key} row={row} />
        ))}
        {step === null ? null : <AddKey />}
      </div>
      {error === null ? null : (
        <p className="form-failed" role="alert">
          {error}
        </p>
      )}
      <Difference isBranch={step !== null} />
      <Takes step={step ?? shown.summary.step} />
    </div>
  );
}

function Row({ row }: { readonly row: ChangeRow }) {
  const problem = useChange((state) =>
    state.preview?.problems.find(({ path }) => path === row.key || path.startsWith(`${row.key}.`)),
  );
  const isChanged = row.value.trim() !== "" && row.value.trim() !== row.before;
  const id = `change-${row.key}`;
  return (
    <div className="change-row">
      <label className="mono" htmlFor={id}>
        {row.key}
      </label>
      <input
        id={id}
        className={isChanged ? "input mono is-changed" : "input mono"}
        value={row.value}
        spellCheck={false}
        placeholder={row.before === null ? "not in the recipe" : row.before}
        aria-invalid={problem?.severity === "error"}
        aria-describedby={`${id}-note`}
        onChange={(event) => changeValue(row.key, event.currentTarget.value)}
      />
      <span className="change-remove">
        {isChanged && row.before !== null ? (
          <button
            type="button"
            className="text-button"
            aria-label={`Put ${row.key} back to ${row.before}`}
            onClick={() => changeValue(row.key, row.before ?? "")}
          >
            was {row.before.length > 18 ? "another" : row.before}
          </button>
        ) : row.before === null ? (
          <IconButton label={`Leave ${row.key} out`} onClick={() => removeKey(row.key)}>
            <X size={14} />
          </IconButton>
        ) : null}
      </span>
      <p id={`${id}-note`} className={problem?.severity === "error" ? "field-help bad" : "field-help warn"}>
        {problem?.message ?? ""}
      </p>
    </div>
  );
}

/** Any key of a recipe, with completion. */
function AddKey() {
  const schema = useChange((state) => state.keys);
  const rows = useChange((state) => state.rows);
  const [text, setText] = useState("");
  const keys = useMemo(() => offeredKeys(schema, rows), [schema, rows]);
  const add = (key: string): void => {
    addKey(key.trim());
    setText("");
  };
  return (
    <form
      className="change-row"
      onSubmit={(event) => {
        event.preventDefault();
        add(text);
      }}
    >
      <label className="muted" htmlFor="change-add">
        another key
      </label>
      <input
        id="change-add"
        className="input mono"
        list="change-keys"
        value={text}
        spellCheck={false}
        placeholder="gradient_clipping"
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <Button type="submit" disabled={text.trim() === ""}>
        Add
      </Button>
      <datalist id="change-keys">
        {keys.map((key) => (
          <option key={key} value={key} />
        ))}
      </datalist>
    </form>
  );
}

function Difference({ isBranch }: { readonly isBranch: boolean }) {
  const preview = useChange((state) => state.preview);
  const rows = useChange((state) => state.rows);
  if (preview === null) {
    return <p className="muted">Comparing…</p>;
  }
  const elsewhere = preview.problems.filter(
    ({ path }) => !rows.some(({ key }) => path === key || path.startsWith(`${key}.`)),
  );
  return (
    <section className="change-difference" aria-labelledby="difference-title">
      <h2 id="difference-title">What changes</h2>
      {preview.changes.length === 0 ? (
        <p className="muted">
          {isBranch ? "Nothing yet: the branch would go the same way again." : "Nothing yet: max_duration is the same."}
        </p>
      ) : (
        <pre className="difference mono" data-testid="difference">
          {preview.changes.map(({ key, before, after }) => (
            <span key={key}>
              {before === null ? null : <del>{`- ${key}: ${before}\n`}</del>}
              {after === null ? null : <ins>{`+ ${key}: ${after}\n`}</ins>}
            </span>
          ))}
        </pre>
      )}
      {elsewhere.map((problem) => (
        <p key={problem.message} className={problem.severity === "error" ? "bad" : "warn"}>
          {problem.message}
        </p>
      ))}
    </section>
  );
}

/** The plan of what is left to train. */
function Takes({ step }: { readonly step: number }) {
  const forecast = useChange((state) => state.forecast);
  const isUnchanged = useChange((state) => state.step === null && state.preview?.changes.length === 0);
  if (forecast === null || isUnchanged) {
    return null;
  }
  const left = Math.max(0, forecast.steps.value - step);
  const share = forecast.steps.value === 0 ? 0 : left / forecast.steps.value;
  return (
    <p className="muted tabular" data-testid="change-forecast">
      {left === 0
        ? `It would end at step ${formatCount(forecast.steps.value)}, which is reached already: make max_duration longer.`
        : `${formatCount(left)} steps more, to step ${formatCount(forecast.steps.value)}: about ${formatDuration(share * forecast.seconds.value)}, ${formatBytes(forecast.memoryBytes.value)} memory.`}
    </p>
  );
}
