// State of the page that branches or extends a run: the edited keys, and what recipes and forecast say of them a moment
// after each change.
import { create } from "zustand";
import type { RequestOutput } from "#shared/ipc/contract";
import type { Forecast } from "#shared/ipc/recipes.contract";
import type { runsContract } from "#shared/ipc/runs.contract";
import { client, messageOf } from "../../lib/client.ts";
import { branchRows, type ChangeRow, extendRows, rowOf, setWords } from "./change-rows.ts";

export type ChangePreview = RequestOutput<typeof runsContract, "runs.preview-change">;

type ChangeState = {
  readonly run: string | null;
  /** The checkpoint that a branch starts from; null: the run itself goes on. */
  readonly step: number | null;
  readonly recipeText: string;
  readonly rows: readonly ChangeRow[];
  readonly preview: ChangePreview | null;
  readonly forecast: Forecast | null;
  readonly error: string | null;
  readonly isChecking: boolean;
  readonly isStarting: boolean;
  readonly keys: unknown;
};

const closed = {
  rows: [],
  preview: null,
  forecast: null,
  error: null,
  isChecking: false,
  isStarting: false,
} as const;

export const useChange = create<ChangeState>(() => ({ run: null, step: null, recipeText: "", keys: null, ...closed }));

const CHECK_DELAY_MS = 200;
let timer: ReturnType<typeof setTimeout> | undefined;
let checkCount = 0;

export function beginChange(run: string, step: number | null, recipeText: string): void {
  const now = useChange.getState();
  if (now.run === run && now.step === step && now.recipeText === recipeText) {
    return;
  }
  const rows = step === null ? extendRows(recipeText) : branchRows(recipeText);
  useChange.setState({ run, step, recipeText, ...closed, rows });
  void check();
  if (now.keys === null) {
    client.request("recipes.schema", {}).then(
      ({ jsonSchema }) => useChange.setState({ keys: jsonSchema }),
      () => undefined, // Without it keys are typed without completion.
    );
  }
}

async function check(): Promise<void> {
  clearTimeout(timer);
  checkCount += 1;
  const mine = checkCount;
  const { run, step, rows } = useChange.getState();
  if (run === null) {
    return;
  }
  useChange.setState({ isChecking: true });
  try {
    const preview = await client.request("runs.preview-change", { run, step, set: [...setWords(rows)] });
    const isSound = preview.problems.every(({ severity }) => severity !== "error");
    const checked = isSound ? await client.request("recipes.check", { text: preview.recipeText, source: null }) : null;
    if (mine === checkCount) {
      useChange.setState({ preview, forecast: checked?.forecast ?? null, error: null, isChecking: false });
    }
  } catch (error) {
    if (mine === checkCount) {
      useChange.setState({ error: messageOf(error), isChecking: false });
    }
  }
}

function changeRows(rows: readonly ChangeRow[]): void {
  useChange.setState({ rows, isChecking: true });
  clearTimeout(timer);
  timer = setTimeout(() => void check(), CHECK_DELAY_MS);
}

export function changeValue(key: string, value: string): void {
  changeRows(useChange.getState().rows.map((row) => (row.key === key ? { ...row, value } : row)));
}

export function addKey(key: string): void {
  const { rows, recipeText } = useChange.getState();
  if (key !== "" && rows.every((row) => row.key !== key)) {
    changeRows([...rows, rowOf(recipeText, key)]);
  }
}

export function removeKey(key: string): void {
  changeRows(useChange.getState().rows.filter((row) => row.key !== key));
}

/** Starts what the form says; the id of the run that trains then, or null where it did not start. */
export async function startChange(): Promise<string | null> {
  const { run, step, rows, isStarting } = useChange.getState();
  if (run === null || isStarting) {
    return null;
  }
  useChange.setState({ isStarting: true, error: null });
  const set = [...setWords(rows)];
  try {
    const started =
      step === null
        ? await client.request("runs.resume", { run, set })
        : await client.request("runs.branch", { run, step, set });
    // The next form begins with what the recipes hold then.
    useChange.setState({ run: null });
    return started.run;
  } catch (error) {
    useChange.setState({ error: messageOf(error) });
    return null;
  } finally {
    useChange.setState({ isStarting: false });
  }
}

/** Why the accent button waits; null where it may be pressed. */
export function waitReason(
  state: Pick<ChangeState, "preview" | "isChecking" | "isStarting" | "step" | "error">,
): string | null {
  const { preview, isChecking, isStarting, step, error } = state;
  if (isStarting) {
    return "starting…";
  }
  if (preview === null) {
    return error === null ? "checking…" : "It could not be checked.";
  }
  const problem = preview.problems.find(({ severity }) => severity === "error");
  if (problem !== undefined) {
    return "Mend the problem first.";
  }
  if (step === null && preview.changes.length === 0) {
    return "Make max_duration longer.";
  }
  return isChecking ? "checking…" : null;
}
