// assay stop | pause | unpause | checkpoint RUN: puts the request into the run's control folder and waits until its
// runner has acted on it, so that the command's success means something.
import { setTimeout as sleep } from "node:timers/promises";
import { workspacePath } from "#core/paths";
import { requestControl } from "#core/runs/control";
import { findRun } from "#core/runs/directory";
import { readSummary } from "#core/runs/status";
import { aliveStatuses, type RunSummary } from "#shared/domain/run";
import { AppError } from "#shared/errors";
import type { CommandCall, CommandSpec } from "../arguments.ts";
import { say, sayJson } from "../output.ts";

type Action = "stop" | "pause" | "unpause" | "checkpoint";

const waitLimitSeconds = 120;

/** True once the runner has done what was asked for. */
function isDone(action: Action, summary: RunSummary, isRequestGone: boolean): boolean {
  switch (action) {
    case "stop":
      return !aliveStatuses.has(summary.status) && summary.status !== "queued";
    case "pause":
      return summary.status === "paused" || !aliveStatuses.has(summary.status);
    case "unpause":
      return summary.status === "running" || !aliveStatuses.has(summary.status);
    case "checkpoint":
      return isRequestGone;
    default:
      return action satisfies never;
  }
}

const past: Readonly<Record<Action, string>> = {
  stop: "stopped",
  pause: "paused",
  unpause: "running again",
  checkpoint: "checkpointed",
};

async function control(action: Action, call: CommandCall): Promise<void> {
  const workspace = workspacePath(call.workspace);
  const run = await findRun(workspace, call.operands[0] ?? "");
  const request = await requestControl(run, action);
  const deadline = performance.now() + waitLimitSeconds * 1000;
  let summary = await readSummary(run);
  while (!isDone(action, summary, await request.isTaken())) {
    if (performance.now() > deadline) {
      throw new AppError(
        "RUN_STATE_WRONG",
        `${summary.name} was asked to ${action} ${waitLimitSeconds} s ago and is still ${summary.status}; the request stands, see ${run}/log.txt.`,
      );
    }
    await sleep(100);
    summary = await readSummary(run);
  }
  if (call.json) {
    sayJson({ run: summary.id, status: summary.status, step: summary.step });
  } else {
    say(`${summary.name} is ${past[action]} at step ${summary.step}.`);
  }
}

function controlCommand(action: Action, summary: string): CommandSpec {
  return {
    name: action,
    summary,
    operands: "RUN",
    minOperands: 1,
    maxOperands: 1,
    options: {},
    run: (call) => control(action, call),
  };
}

export const controlCommands: readonly CommandSpec[] = [
  controlCommand("stop", "write a checkpoint and stop a run; `assay resume` goes on from there"),
  controlCommand("pause", "hold a run between two steps; it keeps its memory"),
  controlCommand("unpause", "let a paused run go on"),
  controlCommand("checkpoint", "write a checkpoint now"),
];
