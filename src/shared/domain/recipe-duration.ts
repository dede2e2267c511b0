// Durations of a recipe: a number and Composer's unit, such as 400ba, 1ep, 300e9tok or 3600sec. Recipes keep them as
// text, so that a file reads back as it was written.
import { AppError } from "../errors.ts";

export const durationUnits = ["ba", "ep", "tok", "sec"] as const;
export type DurationUnit = (typeof durationUnits)[number];

/** `ba` optimizer steps, `ep` passes over the training text, `tok` tokens, `sec` seconds of training. */
export type Duration = { readonly value: number; readonly unit: DurationUnit };

const NUMBER = String.raw`\d+(?:\.\d+)?(?:[eE]\+?\d+)?`;

export function durationPattern(units: readonly DurationUnit[]): RegExp {
  return new RegExp(`^${NUMBER}(?:${units.join("|")})$`);
}

/** Null where the text is no duration. Steps and tokens are whole numbers; epochs and seconds need not be. */
export function readDuration(text: string): Duration | null {
  const match = /^([\d.eE+]+?)(ba|ep|tok|sec)$/.exec(text);
  const number = match?.[1];
  const unit = durationUnits.find((each) => each === match?.[2]);
  if (number === undefined || unit === undefined || !durationPattern([unit]).test(text)) {
    return null;
  }
  const value = Number(number);
  const isWhole = unit === "ba" || unit === "tok";
  return Number.isFinite(value) && (!isWhole || Number.isSafeInteger(value)) ? { value, unit } : null;
}

/** For text that a recipe's schema has let through. */
export function parseDuration(text: string): Duration {
  const duration = readDuration(text);
  if (duration === null) {
    throw new AppError(
      "RECIPE_INVALID",
      `"${text}" is no duration: write a number and a unit, such as 400ba, 1ep, 300e9tok or 3600sec.`,
    );
  }
  return duration;
}
