// What can be asked of the run that is open.
import { assertNever } from "#shared/errors";
import { type Route, routeHash } from "../../app/router.ts";
import { formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { ChangeActions } from "./change-actions.tsx";
import { runRoute } from "./run-route.ts";
import { controlRun, resumeRun, useRuns } from "./store.ts";
import { actionsFor } from "./view-model.ts";

export function RunActions({ route }: { readonly route: Route }) {
  const at = runRoute(route);
  switch (at.kind) {
    case "list":
      return null;
    case "branch":
      return <ChangeActions run={at.run} step={at.step} />;
    case "extend":
      return <ChangeActions run={at.run} step={null} />;
    case "run":
      return <OwnActions run={at.run} />;
    default:
      return assertNever(at);
  }
}

function OwnActions({ run }: { readonly run: string }) {
  const status = useRuns((state) => state.shown?.summary.status ?? null);
  const acting = useRuns((state) => state.acting);
  const newestStep = useRuns((state) => state.shown?.checkpoints.at(-1)?.step ?? null);
  if (status === null) {
    return null;
  }
  const can = actionsFor(status);
  const isBusy = acting !== null;
  return (
    <>
      {can.canCheckpoint ? (
        <Button disabled={isBusy} onClick={() => void controlRun(run, "checkpoint")}>
          Checkpoint now
        </Button>
      ) : null}
      {can.canPause ? (
        <Button disabled={isBusy} onClick={() => void controlRun(run, "pause")}>
          Pause
        </Button>
      ) : null}
      {can.canUnpause ? (
        <Button variant="primary" disabled={isBusy} onClick={() => void controlRun(run, "unpause")}>
          Go on
        </Button>
      ) : null}
      {can.canStop ? (
        <Button
          disabled={isBusy}
          onClick={() => void controlRun(run, "stop")}
          title="Writes a checkpoint and stops; it can be resumed"
        >
          Stop
        </Button>
      ) : null}
      {newestStep === null || can.canStop ? null : (
        <a
          className="button"
          href={routeHash("runs", run, "branch", String(newestStep))}
          title={`From step ${formatCount(newestStep)}, the newest checkpoint; every checkpoint beside has its own`}
        >
          Branch…
        </a>
      )}
      {can.canExtend ? (
        <a className="button" href={routeHash("runs", run, "extend")} title="Goes on with a longer max_duration">
          Extend…
        </a>
      ) : null}
      {can.canResume ? (
        <Button variant="primary" disabled={isBusy} onClick={() => void resumeRun(run)}>
          Resume run
        </Button>
      ) : null}
    </>
  );
}
