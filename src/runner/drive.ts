// The life of one run: take its lock, wait for the local slot, prepare text and model, train, and say how it ended. The
// run directory is the only thing it speaks through.
import { readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { loadAddon } from "#core/engine/addon";
import { referenceBase } from "#core/runs/adapter-base";
import { checkFreeDisk, checkpointsFolder, cleanCheckpoints, newestWholeCheckpoint } from "#core/runs/checkpoints";
import { clearControl } from "#core/runs/control";
import { makeFolder, writeFileDurably } from "#core/runs/durable-file";
import { loadFirstWeights } from "#core/runs/first-weights";
import { acquireLock, type Lock } from "#core/runs/lock";
import { readManifest } from "#core/runs/manifest";
import { MetricsWriter } from "#core/runs/metrics";
import { type AllocatedTraining, allocateTraining, prepareTraining, readRunRecipe } from "#core/runs/prepare";
import { ownIdentity } from "#core/runs/process-identity";
import { programVersion } from "#core/runs/program-version";
import { waitForSlot } from "#core/runs/queue";
import { recipeTextWith } from "#core/runs/recipe-text";
import { totalSteps } from "#core/runs/schedule";
import { parameterCount } from "#shared/domain/model-tensors";
import { parseDuration } from "#shared/domain/recipe";
import { trainableCount } from "#shared/domain/recipe-model";
import { AppError, toErrorEnvelope } from "#shared/errors";
import { checkpointBytes, loadCheckpoint } from "./checkpointing.ts";
import { Interrupts } from "./interrupts.ts";
import { RunJournal } from "./journal.ts";
import { killPoint } from "./kill-point.ts";
import { TrainingLoop } from "./loop.ts";
import { beginning, type TrainingProgress } from "./progress.ts";

/** Drives the run to its end, or as far as it is let. Resolves with the process's exit code. */
export async function driveRun(directory: string, workspace: string): Promise<number> {
  const before = await readManifest(directory);
  const lock = await acquireLock(directory);
  const locks: Lock[] = [lock];
  let journal: RunJournal | undefined;
  let interrupts: Interrupts | undefined;
  try {
    killPoint("locked", 0);
    await cleanUp(directory);
    const own = await ownIdentity();
    const opened = await RunJournal.open(directory, {
      ...before,
      status: "queued",
      phase: null,
      pid: own.pid,
      pid_start_time: own.startTime,
      host: hostname(),
      ended_at: null,
      exit_reason: null,
    });
    journal = opened;
    interrupts = new Interrupts(directory, (signal) => void stopNow(opened, locks, signal));
    await journal.write({});
    const outcome = await runQueued(opened, interrupts, locks, workspace, before.started_at !== null);
    return outcome === "completed" || outcome === "stopped" ? 0 : 1;
  } catch (error) {
    const { code, message, details } = toErrorEnvelope(error);
    if (journal === undefined) {
      throw error;
    }
    if (interrupts !== undefined && code === "CANCELLED" && interrupts.stopReason !== null) {
      await finishStopped(journal, interrupts.stopReason);
      return 0;
    }
    if (code === "BUG") {
      console.error(details?.["stack"] ?? message);
    }
    await journal.finish("failed", { code, message }, `Failed: ${message} (${code})`);
    return 1;
  } finally {
    interrupts?.close();
    if (journal !== undefined) {
      await clearControl(directory).catch(() => undefined); // acted on, or too late
    }
    for (const each of locks) {
      await each.release().catch(() => undefined);
    }
  }
}

async function runQueued(
  journal: RunJournal,
  interrupts: Interrupts,
  locks: Lock[],
  workspace: string,
  isResumed: boolean,
): Promise<"completed" | "stopped"> {
  const slot = await waitForSlot({
    workspace,
    runId: journal.manifest.id,
    order: isResumed ? new Date() : new Date(journal.manifest.created_at),
    signal: interrupts.signal,
    onWaiting: async () => {
      await journal.write({ phase: { name: "waiting for another run to end" } });
      await journal.log("Waiting for another run of this workspace to end.");
    },
  });
  if (slot === undefined) {
    await finishStopped(journal, interrupts.stopReason ?? "stop");
    return "stopped";
  }
  locks.push(slot);
  const outcome = await train(journal, interrupts, workspace, isResumed);
  if (outcome === "completed") {
    await journal.finish("completed", null, `Completed at step ${journal.manifest.step}.`);
  } else {
    await finishStopped(journal, interrupts.stopReason ?? "stop");
  }
  return outcome;
}

async function train(
  journal: RunJournal,
  interrupts: Interrupts,
  workspace: string,
  isResumed: boolean,
): Promise<"completed" | "stopped"> {
  const { directory } = journal;
  const { signal } = interrupts;
  const addon = loadAddon();
  const machine = addon.machine();
  await journal.write({
    status: "starting",
    phase: { name: "starting" },
    started_at: journal.manifest.started_at ?? new Date().toISOString(),
    versions: {
      assay: programVersion(),
      engine: machine.engineVersion,
      gemm: machine.gemm === "onednn" ? `onednn ${machine.onednnVersion ?? ""}`.trim() : machine.gemm,
      node: process.versions.node,
      cpu: machine.cpuModel,
    },
  });
  await journal.log(`${isResumed ? "Resumed" : "Started"} by process ${process.pid} on ${hostname()}.`);
  const source = await readRunRecipe(directory);
  const prepared = await prepareTraining({
    recipe: source.recipe,
    addon,
    directory,
    workspace,
    signal,
    onPhase: (phase) => journal.phase(phase),
    onNotice: (sentence) => journal.note(sentence),
  });
  try {
    const isOtherText =
      journal.manifest.data_fingerprint !== null && journal.manifest.data_fingerprint !== prepared.fingerprint;
    if (isOtherText) {
      throw new AppError(
        "CHECKPOINT_MISMATCH",
        "The training text is not the one this run began with; put it back as it was, or start a new run.",
      );
    }
    const { facts } = prepared;
    await journal.write({
      data_fingerprint: prepared.fingerprint,
      total_steps: totalSteps(parseDuration(prepared.recipe.max_duration), facts),
    });
    const trained = await allocateTraining(
      addon,
      prepared,
      (phase) => journal.phase(phase),
      (sentence) => journal.note(sentence),
    );
    try {
      return await trainAllocated(journal, interrupts, source.text, trained, isResumed);
    } finally {
      trained.model.dispose();
    }
  } finally {
    await prepared.close();
  }
}

/** From allocated memory to the end: the resolved recipe, weights, the loop. */
async function trainAllocated(
  journal: RunJournal,
  interrupts: Interrupts,
  recipeText: string,
  trained: AllocatedTraining,
  isResumed: boolean,
): Promise<"completed" | "stopped"> {
  const { directory } = journal;
  const { prepared } = trained;
  await writeFileDurably(path.join(directory, "recipe.yaml"), recipeTextWith(recipeText, prepared.recipe));
  const trainable = trainableCount(prepared.modelConfig, prepared.recipe.model);
  await journal.write({
    planned_memory_bytes: trained.plan.totalBytes,
    trainable_parameters: trainable === parameterCount(prepared.modelConfig) ? null : trainable,
  });
  killPoint("resolved", 0);
  await checkFreeDisk(checkpointsFolder(directory), checkpointBytes(trained, prepared), "a single checkpoint");
  const isLora = prepared.recipe.model.lora !== undefined;
  const base = isLora && prepared.base !== null ? await referenceBase(prepared.base.folder) : null;
  const { checkpoint, problems } = await newestWholeCheckpoint(directory);
  for (const problem of problems) {
    await journal.log(problem);
  }
  let saved: TrainingProgress | null = null;
  if (checkpoint !== null) {
    saved = await loadCheckpoint(checkpoint, prepared, trained, base);
  } else {
    await journal.log(await loadFirstWeights(trained.model, prepared));
  }
  const from = saved ?? beginning(prepared.training);
  const metrics = await MetricsWriter.open(directory);
  try {
    if (isResumed) {
      const resumed = journal.manifest.resumes + 1;
      await metrics.appendResume({ resumed, from_step: from.step });
      await journal.write({ resumes: resumed });
      await journal.log(`Resume ${resumed} goes on from step ${from.step}.`);
    }
    journal.check();
    await journal.write({ status: "running", step: from.step, tokens: from.tokens, best: from.best });
    killPoint("prepared", 0);
    prepared.training.begin(from.place);
    const loop = new TrainingLoop({ prepared, trained, metrics, journal, interrupts, from, saved, base });
    const outcome = await loop.run();
    await metrics.sync();
    return outcome;
  } finally {
    await metrics.close();
  }
}

async function finishStopped(journal: RunJournal, reason: string): Promise<void> {
  const { step } = journal.manifest;
  const message = `Stopped after step ${step} as ${reason} asked; \`assay resume\` goes on from there.`;
  await journal.finish("stopped", { code: "STOPPED", message }, message);
}

/** A second signal: no checkpoint, no waiting for the engine. */
async function stopNow(journal: RunJournal, locks: readonly Lock[], signal: NodeJS.Signals): Promise<void> {
  const message = `Stopped at once by a second ${signal}, without a checkpoint; \`assay resume\` goes on from the newest one.`;
  await journal.finish("stopped", { code: "STOPPED_AT_ONCE", message }, message);
  for (const lock of locks) {
    await lock.release().catch(() => undefined);
  }
  // Exiting in order would tear down the engine under its running threads.
  process.kill(process.pid, "SIGKILL");
}

/** What killed runners left behind, and requests that were meant for them. */
async function cleanUp(directory: string): Promise<void> {
  await makeFolder(path.join(directory, "control"));
  await makeFolder(checkpointsFolder(directory));
  await clearControl(directory);
  await cleanCheckpoints(directory);
  for (const name of await readdir(directory)) {
    if (/^(run\.json|recipe\.yaml)\.tmp-|^\.tokenizer\.tmp-/.test(name)) {
      await rm(path.join(directory, name), { recursive: true, force: true });
    }
  }
}
