import { Activity } from "lucide-react";
import { aliveStatuses } from "#shared/domain/run";
import { assertNever } from "#shared/errors";
import type { Command, Count, Crumb, Feature } from "../../app/feature.ts";
import { go, type Route, routeHash } from "../../app/router.ts";
import { formatCount } from "../../lib/format.ts";
import { RunActions } from "./run-actions.tsx";
import { RunBottom } from "./run-bottom.tsx";
import { RunDetails } from "./run-details.tsx";
import { runRoute } from "./run-route.ts";
import { RunsMain } from "./runs-main.tsx";
import { controlRun, listenToRuns, resumeRun, useRuns } from "./store.ts";
import { actionsFor } from "./view-model.ts";

/** A run's own page; the pages that branch or extend it stand alone. */
const isRunPage = (route: Route): boolean => runRoute(route).kind === "run";

function useCrumbs(route: Route): readonly Crumb[] {
  const name = useRuns((state) => state.shown?.summary.name);
  const at = runRoute(route);
  switch (at.kind) {
    case "list":
      return [];
    case "branch":
      return [
        { label: name ?? at.run, hash: routeHash("runs", at.run) },
        { label: `Branch from step ${formatCount(at.step)}` },
      ];
    case "extend":
      return [{ label: name ?? at.run, hash: routeHash("runs", at.run) }, { label: "Extend" }];
    case "run":
      return [{ label: name ?? at.run }];
    default:
      return assertNever(at);
  }
}

/** Runs that are under way or wait for their turn. */
function useCount(): Count | null {
  const running = useRuns((state) => state.list?.filter((run) => aliveStatuses.has(run.status)).length ?? 0);
  const queued = useRuns((state) => state.list?.filter((run) => run.status === "queued").length ?? 0);
  return running + queued === 0 ? null : { value: running + queued, isLive: running > 0 };
}

function commands(): readonly Command[] {
  const { list, open, shown } = useRuns.getState();
  const can = shown === null ? null : actionsFor(shown.summary.status);
  const name = shown?.summary.name ?? "";
  const own: (Command | false)[] =
    open === null || can === null
      ? []
      : [
          can.canStop && { id: "run-stop", title: `Stop ${name}`, run: () => void controlRun(open, "stop") },
          can.canPause && { id: "run-pause", title: `Pause ${name}`, run: () => void controlRun(open, "pause") },
          can.canUnpause && {
            id: "run-unpause",
            title: `Let ${name} go on`,
            run: () => void controlRun(open, "unpause"),
          },
          can.canCheckpoint && {
            id: "run-checkpoint",
            title: `Checkpoint ${name} now`,
            run: () => void controlRun(open, "checkpoint"),
          },
          can.canResume && { id: "run-resume", title: `Resume ${name}`, run: () => void resumeRun(open) },
          can.canExtend && { id: "run-extend", title: `Extend ${name}`, run: () => go("runs", open, "extend") },
          ...(shown?.checkpoints ?? []).toReversed().map(({ step }) => ({
            id: `run-branch-${step}`,
            title: `Branch ${name} from step ${step}`,
            run: () => go("runs", open, "branch", String(step)),
          })),
        ];
  const runs = (list ?? []).map((run) => ({
    id: `run-${run.id}`,
    title: `Run ${run.name}, ${run.status}`,
    keywords: run.id,
    run: () => go("runs", run.id),
  }));
  return [...own.filter((each) => each !== false), ...runs];
}

export const runsFeature: Feature = {
  id: "runs",
  title: "Runs",
  icon: Activity,
  Main: RunsMain,
  Details: RunDetails,
  Bottom: RunBottom,
  Actions: RunActions,
  useCrumbs,
  useCount,
  commands,
  start: listenToRuns,
  hasDetails: isRunPage,
  hasBottom: isRunPage,
};
