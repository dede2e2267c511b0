import { describe, expect, it } from "vitest";
import type { RunSummary } from "#shared/domain/run";
import { actionsFor, phaseShare, phaseText, positionText, spokenText } from "./view-model.ts";

const summary: RunSummary = {
  id: "20261121-1-x-0000",
  name: "x",
  directory: "/runs/x",
  status: "running",
  phase: null,
  createdAt: "2026-11-21T10:00:00Z",
  startedAt: null,
  endedAt: null,
  step: 2560,
  totalSteps: 4000,
  tokens: 1,
  trainLoss: 3,
  evalLoss: null,
  evalPerplexity: null,
  evalBitsPerByte: null,
  tokensPerSecond: 100,
  secondsLeft: 185,
  exitReason: null,
  problem: null,
};

describe("run views", () => {
  it("say where a run is and what is left", () => {
    expect(positionText(summary)).toBe(
      "step 2\u2009560 of 4\u2009000, about 3\u2009min 5\u2009s left, on this computer",
    );
  });

  it("name what is being waited for before the first step", () => {
    const phase = { name: "reading corpus", done: 1_200_000, total: 4_000_000, unit: "bytes" };
    expect(phaseText({ phase })).toBe("reading corpus, 1.20\u2009MB of 4.00\u2009MB");
    expect(positionText({ ...summary, step: 0, status: "starting", phase: { name: "allocating 412 MB" } })).toBe(
      "allocating 412 MB",
    );
  });

  it("offer only what a state allows", () => {
    expect(actionsFor("paused")).toMatchObject({ canUnpause: true, canPause: false, canResume: false });
    expect(actionsFor("lost")).toMatchObject({ canResume: true, canStop: false });
    expect(actionsFor("completed")).toMatchObject({ canResume: false, canStop: false, canCheckpoint: false });
  });

  it("tell how far a phase is only where its end is known", () => {
    expect(phaseShare({ phase: { name: "tokenizing", done: 1, total: 4 } })).toBe(0.25);
    expect(phaseShare({ phase: { name: "tokenizing", done: 1 } })).toBeNull();
    expect(phaseShare({ phase: null })).toBeNull();
  });

  it("speak a run in words with its newest figures", () => {
    expect(spokenText({ ...summary, evalPerplexity: 31.42 })).toMatch(
      /^x running, step 2.560 of 4.000, .*, loss 3\.00, held-out perplexity 31\.4$/,
    );
  });
});
