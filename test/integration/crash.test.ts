// kill -9 at any moment: the resumed run ends with the weights and the deterministic metric keys of one that was never
// interrupted, bit for bit. The suite draws a few deaths; ASSAY_CRASH_ROUNDS=30 draws the whole acceptance.
import { readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpointsFolder } from "#core/runs/checkpoints";
import { readManifest } from "#core/runs/manifest";
import { readSummary } from "#core/runs/status";
import { createTinyRun, type Outcome, outcomeOf, requireAddon, runToEnd, spawnRunner } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

const rounds = Number(process.env["ASSAY_CRASH_ROUNDS"] ?? 6);
const lastStep = 24;

/** What a death is: at a named point of the code, or from outside, after so much of the time that a whole run takes. */
type Death = { readonly at: string } | { readonly after: number };

/** A small generator of our own, so that a failing round can be drawn again. */
function generator(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

function drawDeath(round: number, next: (limit: number) => number): Death {
  const step = 1 + next(lastStep);
  const saved = 4 * (1 + next(lastStep / 4));
  switch (round % 8) {
    case 0:
      return { at: `in-step:${step}` };
    case 1:
      return { at: `in-line:${step}` };
    case 2:
      return { at: `checkpoint-before-rename:${saved}` };
    case 3:
      return { after: (5 + next(90)) / 100 };
    case 4:
      return { at: `checkpoint-files-written:${saved}` };
    case 5:
      return { at: `checkpoint-after-rename:${saved}` };
    case 6:
      return { at: `${["locked", "resolved", "prepared"][next(3)]}:0` };
    default:
      return { at: `${["after-line", "checkpoint-begun", "after-rotation"][next(3)]}:${saved}` };
  }
}

/** True when it died, and did not end before. */
async function dies(directory: string, death: Death, wholeMs: number): Promise<boolean> {
  const runner = await spawnRunner(directory, "at" in death ? { ASSAY_TEST_KILL_AT: death.at } : {});
  if ("after" in death) {
    await sleep(death.after * wholeMs);
    runner.child.kill("SIGKILL");
  }
  return (await runner.ended).signal === "SIGKILL";
}

describe("a runner killed with SIGKILL", () => {
  let workspace: Awaited<ReturnType<typeof temporaryFolder>>;
  let reference: Outcome;
  let wholeMs: number;

  beforeAll(async () => {
    requireAddon();
    workspace = await temporaryFolder("assay-crash-");
    const { directory } = await createTinyRun(workspace.path);
    const begin = performance.now();
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: lastStep, code: 0 });
    wholeMs = performance.now() - begin;
    reference = await outcomeOf(directory);
    expect(reference.records).toHaveLength(lastStep + 1);
  });
  afterAll(() => workspace[Symbol.asyncDispose]());

  const next = generator(20_261_121);
  for (let round = 0; round < rounds; round += 1) {
    const first = drawDeath(round, next);
    // Every third run that died inside dies again, where it is sure to come by.
    const again: Death = { at: `${["in-step", "in-line", "checkpoint-before-rename"][next(3)]}:${lastStep}` };
    const deaths = round % 3 === 2 && "at" in first ? [first, again] : [first];
    it(`ends as if it had not been, after ${JSON.stringify(deaths)}`, async () => {
      let { directory } = await createTinyRun(workspace.path);
      for (const death of deaths) {
        for (let patience = 1; !(await dies(directory, death, patience * wholeMs)); patience /= 2) {
          // A death from outside may come too late; then another run dies earlier. A named point always comes.
          expect(death).toHaveProperty("after");
          ({ directory } = await createTinyRun(workspace.path));
        }
        const { status, pid } = await readManifest(directory);
        if (status !== "completed") {
          // Before its first word a runner has not touched run.json: the run still waits.
          expect((await readSummary(directory)).status).toBe(pid === null ? "queued" : "lost");
        }
      }
      expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: lastStep, code: 0 });
      expect(await outcomeOf(directory)).toEqual(reference);
      const left = await readdir(checkpointsFolder(directory));
      expect(left.filter((name) => name.startsWith("."))).toEqual([]);
    });
  }
});
