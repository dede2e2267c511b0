// assay runs list | show: what the run directories say.
import { workspacePath } from "#core/paths";
import { listCheckpoints } from "#core/runs/checkpoints";
import { findRun } from "#core/runs/directory";
import { readManifest } from "#core/runs/manifest";
import { listRuns, readSummary } from "#core/runs/status";
import type { RunSummary } from "#shared/domain/run";
import type { CommandSpec } from "../arguments.ts";
import { formatBytes, formatCount, formatSeconds, say, sayJson, table } from "../output.ts";

function figure(value: number | null, digits: number): string {
  return value === null ? "–" : value.toFixed(digits);
}

function stepText(summary: RunSummary): string {
  return summary.totalSteps === null
    ? formatCount(summary.step)
    : `${formatCount(summary.step)}/${formatCount(summary.totalSteps)}`;
}

export const runsListCommand: CommandSpec = {
  name: "runs list",
  summary: "the workspace's runs, newest first",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {},
  run: async (call) => {
    const workspace = workspacePath(call.workspace);
    const runs = await listRuns(workspace);
    if (call.json) {
      sayJson({ runs });
      return;
    }
    if (runs.length === 0) {
      say(`There are no runs in ${workspace} yet; \`assay quickstart\` makes one from the bundled sample.`);
      return;
    }
    say(
      table(
        [
          { title: "run" },
          { title: "status" },
          { title: "step", right: true },
          { title: "loss", right: true },
          { title: "held-out ppl", right: true },
          { title: "bits/byte", right: true },
          { title: "tok/s", right: true },
          { title: "id" },
        ],
        runs.map((run) => [
          run.name,
          run.problem ?? run.status,
          stepText(run),
          figure(run.trainLoss, 3),
          figure(run.evalPerplexity, 1),
          figure(run.evalBitsPerByte, 3),
          run.tokensPerSecond === null ? "–" : formatCount(run.tokensPerSecond),
          run.id,
        ]),
      ),
    );
  },
};

export const runsShowCommand: CommandSpec = {
  name: "runs show",
  summary: "one run: state, figures, checkpoints, where it lies",
  operands: "RUN",
  minOperands: 1,
  maxOperands: 1,
  options: {},
  run: async (call) => {
    const run = await findRun(workspacePath(call.workspace), call.operands[0] ?? "");
    const [summary, manifest, checkpoints] = await Promise.all([
      readSummary(run),
      readManifest(run),
      listCheckpoints(run),
    ]);
    if (call.json) {
      sayJson({ summary, manifest, checkpoints });
      return;
    }
    const rows: [string, string][] = [
      ["status", summary.status + (summary.phase === null ? "" : ` (${summary.phase.name})`)],
      ["step", stepText(summary)],
      ["tokens", formatCount(summary.tokens)],
      ["train loss", figure(summary.trainLoss, 4)],
      ["held-out loss", figure(summary.evalLoss, 4)],
      ["held-out perplexity", figure(summary.evalPerplexity, 2)],
      ["held-out bits/byte", figure(summary.evalBitsPerByte, 4)],
      [
        "best",
        manifest.best === null
          ? "–"
          : `${manifest.best.metric} ${manifest.best.value.toFixed(4)} at step ${manifest.best.step}`,
      ],
      ["created", manifest.created_at],
      ["seed", String(manifest.seed)],
      ["where", run],
    ];
    if (manifest.branched_from !== null) {
      const { run: other, step, changed } = manifest.branched_from;
      const what = changed.length === 0 ? "" : `, changed: ${changed.join(", ")}`;
      rows.push(["branched from", `${other} at step ${step}${what}`]);
    }
    if (summary.secondsLeft !== null) {
      rows.push(["time left", formatSeconds(summary.secondsLeft)]);
    }
    if (summary.exitReason !== null) {
      rows.push(["ended because", `${summary.exitReason.message} (${summary.exitReason.code})`]);
    }
    const width = Math.max(...rows.map(([name]) => name.length));
    say(`${summary.name}  ${summary.id}`);
    for (const [name, value] of rows) {
      say(`  ${name.padEnd(width)}  ${value}`);
    }
    if (checkpoints.length > 0) {
      say("");
      say(
        table(
          [
            { title: "checkpoint" },
            { title: "held-out loss", right: true },
            { title: "size", right: true },
            { title: "" },
          ],
          checkpoints.map((each) => [
            `step ${each.step}`,
            figure(each.evalLoss, 4),
            formatBytes(each.sizeBytes),
            each.isBest ? "best" : "",
          ]),
        ),
      );
    }
  },
};
