// assay train and assay resume: make, branch or find the run, start its runner, and follow it unless told otherwise.
import process from "node:process";
import { workspacePath } from "#core/paths";
import { loadRecipeSource } from "#core/recipe/load";
import { type BranchPlan, createBranch, planBranch } from "#core/runs/branch";
import { describeChange } from "#core/runs/changes";
import { createRun, findRun } from "#core/runs/directory";
import { dryRun } from "#core/runs/dry-run";
import { resumeRun, startRun } from "#core/runs/launch";
import { readSummary } from "#core/runs/status";
import type { Recipe } from "#shared/domain/recipe";
import type { RunSummary } from "#shared/domain/run";
import type { RecipeProblem } from "#shared/ipc/recipes.contract";
import { badRequest, type CommandCall, type CommandSpec } from "../arguments.ts";
import { followInTerminal } from "../follow.ts";
import { formatBytes, formatCount, formatSeconds, note, say, sayJson } from "../output.ts";

function report(summary: RunSummary, json: boolean, facts: Readonly<Record<string, unknown>>): void {
  if (summary.status !== "completed" && summary.status !== "stopped") {
    process.exitCode = 1;
  }
  if (json) {
    sayJson({ run: summary.id, directory: summary.directory, status: summary.status, ...facts, summary });
    return;
  }
  if (summary.exitReason !== null && process.exitCode === 1) {
    note(`${summary.exitReason.message} (${summary.exitReason.code})`);
  } else if (summary.status === "lost") {
    note(
      `The runner of ${summary.name} is gone without a word; \`assay resume ${summary.id}\` goes on from its newest checkpoint.`,
    );
  }
  const perplexity =
    summary.evalPerplexity === null ? "" : `, held-out perplexity ${summary.evalPerplexity.toFixed(2)}`;
  const bits = summary.evalBitsPerByte === null ? "" : `, ${summary.evalBitsPerByte.toFixed(4)} bits/byte`;
  say(`${summary.name} ${summary.status} at step ${summary.step}${perplexity}${bits}: ${summary.directory}`);
}

async function follow(run: string, call: CommandCall, facts: Readonly<Record<string, unknown>> = {}): Promise<void> {
  if (call.flag("detach")) {
    const summary = await readSummary(run);
    if (call.json) {
      sayJson({ run: summary.id, directory: run, status: summary.status, ...facts });
    } else {
      say(run);
    }
    return;
  }
  note(`run ${run}`);
  report(await followInTerminal(run), call.json, facts);
}

type Wanted = {
  readonly recipe: Recipe;
  readonly text: string;
  /** Set for a branch. */
  readonly branch: BranchPlan | null;
};

/** What does nothing, or is usually meant otherwise, is said before the run and not only in the editor. */
function sayWarnings(problems: readonly RecipeProblem[]): void {
  for (const { message } of problems) {
    note(`warning: ${message}`);
  }
}

async function wantedOf(call: CommandCall, workspace: string): Promise<Wanted> {
  const [name] = call.operands;
  const from = call.text("from");
  const overrides = call.texts("set");
  if (from === undefined) {
    if (name === undefined) {
      throw badRequest("`assay train` needs RECIPE; see `assay train --help`.");
    }
    const loaded = await loadRecipeSource(name, { overrides, workspace });
    sayWarnings(loaded.problems);
    return { recipe: loaded.recipe, text: loaded.text, branch: null };
  }
  const recipe = name === undefined ? null : await loadRecipeSource(name, { overrides, workspace });
  const branch = await planBranch({ from, overrides, workspace, ...(recipe === null ? {} : { recipe }) });
  return { recipe: branch.recipe, text: branch.text, branch };
}

/** What a branch says of itself, in --json too. */
function branchFacts(branch: BranchPlan | null): Readonly<Record<string, unknown>> {
  return branch === null
    ? {}
    : { branched_from: { run: branch.parentId, step: branch.checkpoint.step }, changed: branch.changes };
}

async function train(call: CommandCall): Promise<void> {
  const workspace = workspacePath(call.workspace);
  const loaded = await wantedOf(call, workspace);
  if (call.flag("dry-run")) {
    const result = await dryRun({ recipe: loaded.recipe, workspace, onPhase: (phase) => note(phase) });
    if (call.json) {
      sayJson({ ...result, ...branchFacts(loaded.branch) });
      return;
    }
    say(
      `one step       ${formatSeconds(result.secondsPerStep)}, loss ${result.loss.toFixed(3)}, gradient norm ${result.gradNorm.toFixed(3)}`,
    );
    say(
      `rate           ${formatCount(result.tokensPerSecond)} tok/s on ${result.device === "cpu" ? `${result.threads} threads` : result.device}`,
    );
    say(`parameters     ${formatCount(result.parameters)}`);
    say(
      `memory         ${formatBytes(result.plan.totalBytes)} planned by the engine, ${formatBytes(result.peakBytes)} at peak in the whole process`,
    );
    for (const [name, bytes] of Object.entries({
      parameters: result.plan.parameterBytes,
      ...(result.plan.weightCopyBytes > 0 ? { copies: result.plan.weightCopyBytes } : {}),
      gradients: result.plan.gradientBytes,
      optimizer: result.plan.optimizerBytes,
      activations: result.plan.activationBytes,
      workspace: result.plan.workspaceBytes,
    })) {
      say(`  ${name.padEnd(12)} ${formatBytes(bytes)}`);
    }
    say(`steps          ${formatCount(result.totalSteps)}, ${formatCount(result.totalTokens)} tokens`);
    say(`time           about ${formatSeconds(result.totalSeconds)}`);
    say(`disk           ${formatBytes(result.diskBytes)} for the checkpoints kept`);
    return;
  }
  const directory = call.text("run");
  const place = { workspace, ...(directory === undefined ? {} : { directory }) };
  const { branch } = loaded;
  const run =
    branch === null
      ? await createRun({ recipe: loaded.recipe, recipeText: loaded.text, ...place })
      : await createBranch(branch, place);
  if (branch !== null) {
    note(`branched from ${branch.parentId} at step ${branch.checkpoint.step}`);
    for (const change of branch.changes) {
      note(`  ${describeChange(change)}`);
    }
  }
  await startRun(run.path);
  await follow(run.path, call, branchFacts(branch));
}

const setOption = {
  type: "string",
  multiple: true,
  value: "KEY.SUB=VALUE",
  help: "change a key of the recipe",
} as const;
const detachOption = { type: "boolean", help: "start it and return at once" } as const;

export const trainCommand: CommandSpec = {
  name: "train",
  summary: "train from a recipe file or preset; the run goes on when this terminal closes",
  operands: "RECIPE | --from RUN@STEP [RECIPE]",
  minOperands: 0,
  maxOperands: 1,
  options: {
    set: setOption,
    from: {
      type: "string",
      value: "RUN@STEP",
      help: "branch: go on from this checkpoint with its optimizer, in a run of its own",
    },
    run: { type: "string", value: "DIR", help: "the run directory to make (default: in the workspace)" },
    "dry-run": { type: "boolean", help: "one step: memory, rate and a forecast; writes no run" },
    detach: detachOption,
  },
  run: train,
};

export const resumeCommand: CommandSpec = {
  name: "resume",
  summary: "go on with a stopped, failed or lost run from its newest whole checkpoint",
  operands: "RUN",
  minOperands: 1,
  maxOperands: 1,
  options: {
    set: { ...setOption, help: "change a key that does not make it another run, such as max_duration" },
    detach: detachOption,
  },
  run: async (call) => {
    const run = await findRun(workspacePath(call.workspace), call.operands[0] ?? "");
    await resumeRun(run, { set: call.texts("set") });
    await follow(run, call);
  },
};
