// Models as the chooser shows them: one entry a run, its checkpoints in the order of steps (which sort as numbers).
import type { ModelInfo as ListedModel } from "#shared/domain/model";

export type ModelInfo = Pick<ListedModel, "source" | "run" | "name" | "step">;

export type ModelChoice = {
  /** The run's id, or the folder where the model belongs to no run. */
  readonly key: string;
  readonly name: string;
  readonly checkpoints: readonly ModelInfo[];
};

/** A run's name, with its date and time (which begin its id) where another run is called the same. */
export function choiceLabel(choice: ModelChoice, choices: readonly ModelChoice[]): string {
  if (choices.every((other) => other === choice || other.name !== choice.name)) {
    return choice.name;
  }
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-/u.exec(choice.key) ?? [];
  return `${choice.name}, ${second === undefined ? choice.key : `${year}-${month}-${day} ${hour}:${minute}:${second}`}`;
}

/** Run ids begin with their date and time, so the newest run comes first. Models of no run follow. */
export function modelChoices(models: readonly ModelInfo[]): readonly ModelChoice[] {
  const byKey = new Map<string, ModelInfo[]>();
  for (const model of models) {
    const key = model.run ?? model.source;
    byKey.set(key, [...(byKey.get(key) ?? []), model]);
  }
  const choices = [...byKey].map(([key, checkpoints]) => ({
    key,
    name: checkpoints[0]?.name ?? key,
    isRun: checkpoints[0]?.run !== null,
    checkpoints: checkpoints.toSorted((a, b) => (a.step ?? 0) - (b.step ?? 0)),
  }));
  return choices
    .toSorted((a, b) => Number(b.isRun) - Number(a.isRun) || b.key.localeCompare(a.key, "en"))
    .map(({ key, name, checkpoints }) => ({ key, name, checkpoints }));
}

/** The chosen checkpoint where it still exists, else the newest of the same run, else the newest of all. */
export function resolveChoice(
  choices: readonly ModelChoice[],
  wanted: { readonly source: string | null; readonly key: string | null },
): { readonly choice: ModelChoice; readonly checkpoint: ModelInfo } | null {
  for (const choice of choices) {
    const checkpoint = choice.checkpoints.find((model) => model.source === wanted.source);
    if (checkpoint !== undefined) {
      return { choice, checkpoint };
    }
  }
  const choice = choices.find((candidate) => candidate.key === wanted.key) ?? choices[0];
  const checkpoint = choice?.checkpoints.at(-1);
  return choice === undefined || checkpoint === undefined ? null : { choice, checkpoint };
}
