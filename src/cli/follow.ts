// Watches a run from the terminal until it ends: names what is being waited for, then loss, rate and remaining time.
// The run is another process; Ctrl-C here asks it to write a checkpoint and stop, and a second one to stop now.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { requestControl } from "#core/runs/control";
import { stopNow } from "#core/runs/launch";
import { readSummary } from "#core/runs/status";
import { aliveStatuses, type RunSummary } from "#shared/domain/run";
import { note, Progress } from "./output.ts";

const pollMs = 200;

function isOver(summary: RunSummary): boolean {
  return summary.status !== "queued" && !aliveStatuses.has(summary.status);
}

function lossText(summary: RunSummary): string {
  const parts: string[] = [];
  if (summary.trainLoss !== null) {
    parts.push(`loss ${summary.trainLoss.toFixed(3)}`);
  }
  if (summary.evalPerplexity !== null) {
    parts.push(`held-out perplexity ${summary.evalPerplexity.toFixed(1)}`);
  }
  if (summary.tokensPerSecond !== null) {
    parts.push(`${Math.round(summary.tokensPerSecond)} tok/s`);
  }
  return parts.join(", ");
}

/** Follows until the run has ended and returns its last state. */
export async function followInTerminal(run: string, onFirstLoss?: () => void): Promise<RunSummary> {
  let interrupts = 0;
  const onInterrupt = (): void => {
    interrupts += 1;
    if (interrupts === 1) {
      note("Stopping after a checkpoint; Ctrl-C again stops now.");
      void requestControl(run, "stop").catch((error: unknown) => note(String(error)));
    } else {
      void stopNow(run).catch((error: unknown) => note(String(error)));
    }
  };
  process.on("SIGINT", onInterrupt);
  try {
    let title = "";
    let progress: Progress | null = null;
    let hasLoss = false;
    for (;;) {
      const summary = await readSummary(run);
      const isTraining = summary.status === "running" && summary.phase === null;
      const nextTitle = isTraining ? "training" : (summary.phase?.name ?? summary.status);
      if (nextTitle !== title) {
        progress?.end("done");
        title = nextTitle;
        progress = new Progress(title, isTraining ? "steps" : (summary.phase?.unit ?? ""));
      }
      if (isTraining) {
        progress?.update(summary.step, summary.totalSteps, lossText(summary));
      } else if (summary.phase?.done !== undefined) {
        progress?.update(summary.phase.done, summary.phase.total ?? null);
      }
      if (!hasLoss && summary.trainLoss !== null) {
        hasLoss = true;
        onFirstLoss?.();
      }
      if (isOver(summary)) {
        progress?.end(summary.status);
        return summary;
      }
      await sleep(pollMs);
    }
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}
