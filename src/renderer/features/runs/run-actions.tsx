// What can be asked of the run that is open.
import type { Route } from "../../app/router.ts";
import { Button } from "../../ui/button.tsx";
import { controlRun, resumeRun, useRuns } from "./store.ts";
import { actionsFor } from "./view-model.ts";

export function RunActions({ route }: { readonly route: Route }) {
  const [run] = route.rest;
  const status = useRuns((state) => state.shown?.summary.status ?? null);
  const acting = useRuns((state) => state.acting);
  if (run === undefined || status === null) {
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
      {can.canResume ? (
        <Button variant="primary" disabled={isBusy} onClick={() => void resumeRun(run)}>
          Resume run
        </Button>
      ) : null}
    </>
  );
}
