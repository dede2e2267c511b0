// All runs, newest first, as one quiet table.
import { aliveStatuses, type RunSummary } from "#shared/domain/run";
import { go, routeHash } from "../../app/router.ts";
import { formatCount, formatDuration, formatTime } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { EmptyState, ErrorState } from "../../ui/states.tsx";
import { refreshList, useRuns } from "./store.ts";
import { phaseText, toneOf } from "./view-model.ts";

function figure(value: number | null, digits: number): string {
  return value === null ? "–" : value.toFixed(digits);
}

function asText(list: readonly RunSummary[]): string {
  return tableText(
    ["run", "id", "status", "step", "steps", "train loss", "held-out perplexity", "bits/byte", "tok/s", "created"],
    list.map((run) => [
      run.name,
      run.id,
      run.status,
      run.step,
      run.totalSteps,
      run.trainLoss,
      run.evalPerplexity,
      run.evalBitsPerByte,
      run.tokensPerSecond,
      run.createdAt,
    ]),
  );
}

export function RunList() {
  const list = useRuns((state) => state.list);
  const error = useRuns((state) => state.listError);
  if (list === null) {
    return error === null ? (
      <p className="state-note">Reading the runs of the workspace…</p>
    ) : (
      <ErrorState
        title="The runs could not be read"
        message={error}
        actions={<Button onClick={refreshList}>Try again</Button>}
      />
    );
  }
  if (list.length === 0) {
    return (
      <EmptyState
        title="No runs yet"
        actions={
          <>
            <Button variant="primary" onClick={() => go("home")}>
              Train on the sample…
            </Button>
            <Button onClick={() => go("recipes")}>Choose a recipe</Button>
          </>
        }
      >
        <p>
          A run is one training and everything about it, in a folder of its own. It goes on when this window closes.
        </p>
      </EmptyState>
    );
  }
  return (
    <div className="page">
      <h1>Runs</h1>
      {error === null ? null : <p className="bad">This list may be out of date: {error}</p>}
      <table className="table is-clickable">
        <thead>
          <tr>
            <th scope="col">run</th>
            <th scope="col">status</th>
            <th scope="col" className="number">
              step
            </th>
            <th scope="col" className="number">
              train loss
            </th>
            <th scope="col" className="number">
              perplexity, held out
            </th>
            <th scope="col" className="number optional">
              bits/byte
            </th>
            <th scope="col" className="number optional">
              tok/s
            </th>
            <th scope="col" className="number optional">
              time left
            </th>
            <th scope="col" className="number">
              created
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((run) => (
            <Row key={run.id} run={run} />
          ))}
        </tbody>
      </table>
      <p className="table-foot">
        <CopyButton className="small" text={() => asText(list)}>
          Copy table
        </CopyButton>
      </p>
    </div>
  );
}

function Row({ run }: { readonly run: RunSummary }) {
  const isAlive = aliveStatuses.has(run.status);
  const share = run.totalSteps === null || run.totalSteps === 0 ? 0 : run.step / run.totalSteps;
  return (
    <tr onClick={() => go("runs", run.id)}>
      <td>
        <a href={routeHash("runs", run.id)}>{run.name}</a>
      </td>
      <td className={toneOf(run.status)} title={run.problem ?? run.exitReason?.message ?? ""}>
        {run.problem === null ? run.status : "cannot be read"}
        {isAlive && run.phase !== null ? <span className="unit"> {phaseText(run)}</span> : null}
      </td>
      <td className="number">
        {formatCount(run.step)}
        {run.totalSteps === null ? null : <span className="unit"> / {formatCount(run.totalSteps)}</span>}
        {isAlive ? (
          <span className="row-progress" aria-hidden="true">
            <span style={{ width: `${100 * share}%` }} />
          </span>
        ) : null}
      </td>
      <td className="number">{figure(run.trainLoss, 3)}</td>
      <td className="number">{figure(run.evalPerplexity, 1)}</td>
      <td className="number optional">{figure(run.evalBitsPerByte, 3)}</td>
      <td className="number optional">{run.tokensPerSecond === null ? "–" : formatCount(run.tokensPerSecond)}</td>
      <td className="number optional">{run.secondsLeft === null ? "–" : formatDuration(run.secondsLeft)}</td>
      <td className="number">{formatTime(run.createdAt)}</td>
    </tr>
  );
}
