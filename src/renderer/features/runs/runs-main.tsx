import { useEffect } from "react";
import { assertNever } from "#shared/errors";
import type { Route } from "../../app/router.ts";
import { ChangePage } from "./change-page.tsx";
import { RunList } from "./run-list.tsx";
import { RunPage } from "./run-page.tsx";
import { runRoute } from "./run-route.ts";
import { openRun } from "./store.ts";
import "../../ui/forms.css";
import "./runs.css";

export function RunsMain({ route }: { readonly route: Route }) {
  const at = runRoute(route);
  const run = at.kind === "list" ? null : at.run;
  useEffect(() => openRun(run), [run]);
  switch (at.kind) {
    case "list":
      return <RunList />;
    case "branch":
      return <ChangePage run={at.run} step={at.step} />;
    case "extend":
      return <ChangePage run={at.run} step={null} />;
    case "run":
      return <RunPage run={at.run} />;
    default:
      return assertNever(at);
  }
}
