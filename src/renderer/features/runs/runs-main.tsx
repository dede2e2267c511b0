import { useEffect } from "react";
import type { Route } from "../../app/router.ts";
import { RunList } from "./run-list.tsx";
import { RunPage } from "./run-page.tsx";
import { openRun } from "./store.ts";
import "./runs.css";

export function RunsMain({ route }: { readonly route: Route }) {
  const [run] = route.rest;
  useEffect(() => {
    openRun(run ?? null);
  }, [run]);
  return run === undefined ? <RunList /> : <RunPage run={run} />;
}
