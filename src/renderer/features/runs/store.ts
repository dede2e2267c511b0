// What the window knows of runs: the list, and of the run that is open its state and reduced curves. Everything is asked
// again when main says that something changed, at most four times a second, and not while the window is hidden.
import { create } from "zustand";
import type { RunSummary } from "#shared/domain/run";
import type { RequestOutput } from "#shared/ipc/contract";
import type { runsContract, Series } from "#shared/ipc/runs.contract";
import { client, messageOf } from "../../lib/client.ts";
import type { Axis, Range } from "./curves.ts";
import { evalLossKey, lossKey, smallFigures } from "./view-model.ts";

export type RunShown = RequestOutput<typeof runsContract, "runs.show">;
export type RunSample = RequestOutput<typeof runsContract, "runs.samples">[number];

type RunsState = {
  readonly list: readonly RunSummary[] | null;
  readonly listError: string | null;
  readonly open: string | null;
  readonly shown: RunShown | null;
  readonly shownError: string | null;
  readonly series: Readonly<Record<string, Series>>;
  /** Of the run that this one branched from, up to the branch; empty where it is none or is not shown. */
  readonly parentSeries: Readonly<Record<string, Series>>;
  readonly isParentShown: boolean;
  readonly log: string;
  readonly samples: readonly RunSample[];
  readonly axis: Axis;
  readonly isLog: boolean;
  readonly smoothing: number;
  readonly zoom: Range | null;
  /** An action under way, such as `stop`. */
  readonly acting: string | null;
  readonly actionError: string | null;
};

const closed = {
  shown: null,
  shownError: null,
  series: {},
  parentSeries: {},
  log: "",
  samples: [],
  zoom: null,
  acting: null,
  actionError: null,
} satisfies Partial<RunsState>;

export const useRuns = create<RunsState>(() => ({
  list: null,
  listError: null,
  open: null,
  axis: "step",
  isLog: false,
  smoothing: 0.9,
  isParentShown: true,
  ...closed,
}));

const lossBuckets = 400;
const smallBuckets = 120;
/** Four times a second is as fast as a curve is redrawn for news, sixteen while a hand moves a control. */
const newsIntervalMs = 250;
const handIntervalMs = 60;
const logTailBytes = 200_000;
let logCursor: number | undefined;

/** Runs `work` now, or once after the interval if it was just run; calls in between are one. */
function coalesced(work: () => Promise<void>, minIntervalMs: number): () => void {
  let lastStart = -Infinity;
  let isPlanned = false;
  let isRunning = false;
  let isWanted = false;
  const run = (): void => {
    isPlanned = false;
    isRunning = true;
    lastStart = performance.now();
    void work().finally(() => {
      isRunning = false;
      if (isWanted) {
        isWanted = false;
        ask();
      }
    });
  };
  const ask = (): void => {
    if (isRunning) {
      isWanted = true;
    } else if (!isPlanned) {
      isPlanned = true;
      setTimeout(run, Math.max(0, lastStart + minIntervalMs - performance.now()));
    }
  };
  return ask;
}

async function readList(): Promise<void> {
  try {
    useRuns.setState({ list: await client.request("runs.list", {}), listError: null });
  } catch (error) {
    useRuns.setState({ listError: messageOf(error) });
  }
}

async function readSeries(run: string): Promise<void> {
  const { axis, smoothing, zoom } = useRuns.getState();
  const range = zoom === null ? {} : { from: zoom[0], to: zoom[1] };
  const [loss, others] = await Promise.all([
    client.request("runs.series", {
      run,
      keys: [lossKey, evalLossKey],
      x: axis,
      buckets: lossBuckets,
      smoothing,
      ...range,
    }),
    client.request("runs.series", {
      run,
      keys: smallFigures.map((figure) => figure.key),
      x: axis,
      buckets: smallBuckets,
      ...range,
    }),
  ]);
  const now = useRuns.getState();
  // An answer to what is no longer asked would make the figure jump.
  if (now.open === run && now.axis === axis && now.smoothing === smoothing && now.zoom === zoom) {
    useRuns.setState({
      series: Object.fromEntries([...loss.series, ...others.series].map((each) => [each.key, each])),
    });
  }
}

/** What is drawn of the parent changes with the figure's controls alone: its past is past. */
export async function readParent(parent: string): Promise<void> {
  const { open, axis, smoothing, zoom } = useRuns.getState();
  try {
    const { series } = await client.request("runs.series", {
      run: parent,
      keys: [lossKey, evalLossKey],
      x: axis,
      buckets: lossBuckets,
      smoothing,
      ...(zoom === null ? {} : { from: zoom[0], to: zoom[1] }),
    });
    const now = useRuns.getState();
    if (now.open === open && now.axis === axis && now.zoom === zoom) {
      useRuns.setState({ parentSeries: Object.fromEntries(series.map((each) => [each.key, each])) });
    }
  } catch {
    // A parent that is gone has no curve; the run's own is unharmed, and its lineage says so.
    useRuns.setState({ parentSeries: {} });
  }
}

export function showParent(isParentShown: boolean): void {
  useRuns.setState({ isParentShown });
}

async function readLog(run: string): Promise<void> {
  const { text, cursor } = await client.request(
    "runs.log",
    logCursor === undefined ? { run, tailBytes: logTailBytes } : { run, cursor: logCursor },
  );
  if (useRuns.getState().open === run) {
    logCursor = cursor;
    useRuns.setState((state) => ({ log: (state.log + text).slice(-2 * logTailBytes) }));
  }
}

async function readOpen(): Promise<void> {
  const run = useRuns.getState().open;
  if (run === null || document.hidden) {
    return;
  }
  try {
    const [shown, samples] = await Promise.all([
      client.request("runs.show", { run }),
      client.request("runs.samples", { run }),
      readSeries(run),
      readLog(run),
    ]);
    if (useRuns.getState().open === run) {
      useRuns.setState({ shown, samples, shownError: null });
    }
  } catch (error) {
    if (useRuns.getState().open === run) {
      useRuns.setState({ shownError: messageOf(error) });
    }
  }
}

export const refreshList = coalesced(readList, newsIntervalMs);
export const refreshOpen = coalesced(readOpen, newsIntervalMs);
const refreshSeries = coalesced(async () => {
  const { open } = useRuns.getState();
  if (open !== null) {
    await readSeries(open).catch((error: unknown) => useRuns.setState({ actionError: messageOf(error) }));
  }
}, handIntervalMs);

let isListening = false;

/** Once, when the window opens; more calls change nothing. */
export function listenToRuns(): void {
  if (isListening) {
    return;
  }
  isListening = true;
  client.subscribe("runs.list-changed", refreshList);
  client.subscribe("runs.changed", ({ run }) => {
    refreshList();
    if (run === useRuns.getState().open) {
      refreshOpen();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      refreshList();
      refreshOpen();
    }
  });
  refreshList();
}

export function openRun(run: string | null): void {
  if (useRuns.getState().open !== run) {
    logCursor = undefined;
    useRuns.setState({ open: run, ...closed });
    refreshOpen();
  }
}

export function changeChart(part: Partial<Pick<RunsState, "axis" | "isLog" | "smoothing" | "zoom">>): void {
  // A zoom is in the units of its axis.
  useRuns.setState("axis" in part ? { ...part, zoom: null } : part);
  if (!("isLog" in part)) {
    refreshSeries();
  }
}

async function act(name: string, work: () => Promise<unknown>): Promise<void> {
  useRuns.setState({ acting: name, actionError: null });
  try {
    await work();
  } catch (error) {
    useRuns.setState({ actionError: messageOf(error) });
  } finally {
    useRuns.setState({ acting: null });
    refreshOpen();
    refreshList();
  }
}

export function controlRun(run: string, action: "stop" | "pause" | "unpause" | "checkpoint"): Promise<void> {
  return act(action, () => client.request("runs.control", { run, action }));
}

export function resumeRun(run: string): Promise<void> {
  return act("resume", () => client.request("runs.resume", { run }));
}

/** Starts the main job; answers the run's id. */
export async function startQuickstart(): Promise<string> {
  const { run } = await client.request("runs.start-quickstart", {});
  refreshList();
  return run;
}
