// assay quickstart: the main job on the bundled sample, end to end — tokenizer, training, figures beside count models,
// samples — and, where there is a display and an Electron, the window on the run.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { programRoot, workspacePath } from "#core/paths";
import { type HeldOutFigures, quickstartReport } from "#core/quickstart/report";
import { loadRecipeSource } from "#core/recipe/load";
import { runCaches } from "#core/runs/caches";
import { createRun } from "#core/runs/directory";
import { startRun } from "#core/runs/launch";
import { AppError } from "#shared/errors";
import type { CommandCall, CommandSpec } from "../arguments.ts";
import { followInTerminal } from "../follow.ts";
import { formatCount, formatSeconds, note, say, sayJson, table } from "../output.ts";

const presetName = "biomedlm-tiny";

/** Opens the window on a run, apart from this process; says in one sentence where that cannot be. */
function openWindow(run: string): void {
  const hasDisplay = process.platform !== "linux" || Boolean(process.env["DISPLAY"] ?? process.env["WAYLAND_DISPLAY"]);
  if (!hasDisplay) {
    note("There is no display here, so no window is opened; on a desktop `npm start` shows this run.");
    return;
  }
  const launcher = path.join(programRoot(), "scripts", "start.mjs");
  if (!existsSync(launcher)) {
    return;
  }
  const child = spawn(process.execPath, [launcher, "--run", run], {
    detached: true,
    stdio: ["ignore", "ignore", "inherit"],
  });
  child.unref();
}

function row(name: string, figures: HeldOutFigures): readonly string[] {
  return [name, figures.perplexity.toFixed(2), figures.bitsPerByte.toFixed(4)];
}

async function quickstart(call: CommandCall): Promise<void> {
  const begin = performance.now();
  const workspace = workspacePath(call.workspace);
  const loaded = await loadRecipeSource(presetName, { overrides: call.texts("set"), workspace });
  const run = await createRun({
    recipe: loaded.recipe,
    recipeText: loaded.text,
    workspace,
  });
  note(`Training the preset ${presetName} on the bundled sample; the run is ${run.path}`);
  await startRun(run.path);
  const summary = await followInTerminal(run.path, () => {
    note(`first loss after ${formatSeconds((performance.now() - begin) / 1000)}`);
  });
  if (summary.status !== "completed") {
    throw new AppError(
      summary.status === "lost" ? "RUNNER_LOST" : "RUN_STATE_WRONG",
      `The run ended as ${summary.status} at step ${summary.step}: ${summary.exitReason?.message ?? "its log.txt says why"}; it lies in ${run.path}.`,
    );
  }
  const caches = await runCaches(run.path);
  const report = await quickstartReport(run.path, caches.train, caches.eval);
  if (call.json) {
    sayJson({ run: run.id, directory: run.path, ...report, seconds: (performance.now() - begin) / 1000 });
  } else {
    say("");
    say(
      `Held out: ${report.documents.heldOut} of ${report.documents.train + report.documents.heldOut} documents. ` +
        `Trained ${formatCount(report.steps)} steps, ${formatCount(report.tokens)} tokens, in ${formatSeconds((performance.now() - begin) / 1000)}.`,
    );
    say("");
    say(
      table(
        [
          { title: "model of the same tokens" },
          { title: "perplexity", right: true },
          { title: "bits/byte", right: true },
        ],
        [
          row("this model, before training", report.before),
          row("unigram, add-one", report.unigram),
          row("trigram, Kneser-Ney", report.trigram),
          row("this model, after training", report.after),
        ],
      ),
    );
    for (const sample of report.samples.slice(0, 3)) {
      say("");
      say(`  ${sample.prompt}│${sample.text.replaceAll("\n", " ")}`);
    }
    say("");
    say(`The run lies in ${run.path}`);
    say(
      `Go on: npx assay generate --model ${run.id} --prompt "Background:"   ·   npx assay runs show ${run.id}   ·   npm start`,
    );
  }
  if (report.after.perplexity >= report.unigram.perplexity) {
    throw new AppError(
      "RUN_STATE_WRONG",
      "The trained model is no better than counting single tokens: something is wrong; please report it.",
    );
  }
  if (call.flag("open")) {
    openWindow(run.path);
  }
}

export const quickstartCommand: CommandSpec = {
  name: "quickstart",
  summary: "the main job on the bundled sample, end to end",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {
    open: { type: "boolean", help: "open the window on the run afterwards" },
    set: { type: "string", multiple: true, value: "KEY.SUB=VALUE", help: "change a key of the preset" },
  },
  run: quickstart,
};
