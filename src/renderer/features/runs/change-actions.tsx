// Top right while a run is branched or extended: the one accent button, or why it waits. Ctrl or Cmd with Enter does it.
import { useEffect } from "react";
import { go, routeHash } from "../../app/router.ts";
import { formatCount } from "../../lib/format.ts";
import { modifierKey } from "../../lib/keys.ts";
import { Button } from "../../ui/button.tsx";
import { startChange, useChange, waitReason } from "./change-store.ts";

async function startAndShow(): Promise<void> {
  const started = await startChange();
  if (started !== null) {
    go("runs", started);
  }
}

export function ChangeActions({ run, step }: { readonly run: string; readonly step: number | null }) {
  const reason = useChange(waitReason);
  const canStart = reason === null;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && canStart) {
        event.preventDefault();
        void startAndShow();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [canStart]);
  return (
    <>
      <span id="change-note" className="actions-note">
        {reason}
      </span>
      <a className="button" href={routeHash("runs", run)}>
        Back to the run
      </a>
      <Button variant="primary" disabled={!canStart} aria-describedby="change-note" onClick={() => void startAndShow()}>
        {step === null ? "Extend run" : `Branch from step ${formatCount(step)}`} <kbd>{modifierKey}⏎</kbd>
      </Button>
    </>
  );
}
