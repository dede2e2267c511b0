// Sizes in a recipe, such as 20gb: a number and a unit of powers of ten. Recipes keep them as text, so that a file reads back
// as it was written.
import { AppError } from "../errors.ts";

const unitBytes: Readonly<Record<string, number>> = { kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 };

export const bytesPattern: RegExp = /^\d+(?:\.\d+)?(?:kb|mb|gb|tb)$/;

/** Null where the text is no size. */
export function readBytes(text: string): number | null {
  const unit = bytesPattern.test(text) ? unitBytes[text.slice(-2)] : undefined;
  const bytes = unit === undefined ? Number.NaN : Math.round(Number(text.slice(0, -2)) * unit);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** For text that a recipe's schema has let through. */
export function parseBytes(text: string): number {
  const bytes = readBytes(text);
  if (bytes === null) {
    throw new AppError("RECIPE_INVALID", `"${text}" is no size: write a number and kb, mb, gb or tb, such as 20gb.`);
  }
  return bytes;
}
