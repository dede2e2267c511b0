import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deriveStatus, findNewest, listRuns } from "./status.ts";

const facts = { host: "here", isProcessAlive: true, now: Date.parse("2026-11-21T12:00:30Z") };
const run = { status: "running", pid: 12, host: "here", created_at: "2026-11-21T12:00:00Z" } as const;

describe("deriveStatus", () => {
  it("believes a running process", () => {
    expect(deriveStatus(run, facts)).toBe("running");
  });

  it("calls a run lost when its process is dead and its status says alive", () => {
    for (const status of ["queued", "starting", "running", "paused", "stopping"] as const) {
      expect(deriveStatus({ ...run, status }, { ...facts, isProcessAlive: false })).toBe("lost");
    }
  });

  it("leaves an ended run as it ended", () => {
    for (const status of ["completed", "failed", "stopped"] as const) {
      expect(deriveStatus({ ...run, status }, { ...facts, isProcessAlive: false })).toBe(status);
    }
  });

  it("does not judge processes of another host", () => {
    expect(deriveStatus({ ...run, host: "there" }, { ...facts, isProcessAlive: false })).toBe("running");
  });

  it("gives a run a minute to find its runner", () => {
    const queued = { ...run, status: "queued", pid: null } as const;
    const nobody = { ...facts, isProcessAlive: false };
    expect(deriveStatus(queued, nobody)).toBe("queued");
    expect(deriveStatus(queued, { ...nobody, now: facts.now + 60_000 })).toBe("lost");
  });
});

describe("findNewest", () => {
  it("does not count what a resume superseded", () => {
    const lines = [
      '{"step":1,"train/loss":5,"eval/loss":5}',
      '{"step":2,"train/loss":4,"eval/loss":4}',
      '{"step":3,"train/loss":3,"eval/loss":3}',
      '{"resumed":1,"from_step":1}',
      '{"step":2,"train/loss":2}',
      '{"step":3,"trai',
    ];
    const { train, evaluation } = findNewest(lines);
    expect(train?.["train/loss"]).toBe(2);
    expect(evaluation?.["eval/loss"]).toBe(5);
  });
});

describe("listRuns", () => {
  let workspace: string;
  beforeEach(async () => {
    workspace = await mkdtemp(path.join(tmpdir(), "assay-status-"));
  });
  afterEach(() => rm(workspace, { recursive: true, force: true }));

  it("lists a run whose run.json is damaged or foreign, with the sentence that says why", async () => {
    for (const [name, text] of [
      ["20260101-000000-a-0000", "{torn"],
      ["20260101-000001-b-0000", '{"format_version":3}'],
    ] as const) {
      await mkdir(path.join(workspace, "runs", name), { recursive: true });
      await writeFile(path.join(workspace, "runs", name, "run.json"), text);
    }
    await mkdir(path.join(workspace, "runs", "no-run"));
    const problems = (await listRuns(workspace)).map((each) => each.problem);
    expect(problems).toEqual([
      expect.stringContaining("it says format 3, this build reads 1; update Assay."),
      expect.stringContaining("is not JSON"),
    ]);
  });

  it("is empty in a workspace that has no runs yet", async () => {
    expect(await listRuns(workspace)).toEqual([]);
  });
});
