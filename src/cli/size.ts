// Sizes as people write them on the command line.
import { badRequest } from "./arguments.ts";

const units: Readonly<Record<string, number>> = {
  "": 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** `2GB`, `500MB`, `1GiB` or a number of bytes. */
export function readSize(text: string, option: string): number {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const factor = Object.hasOwn(units, unit.toUpperCase()) ? units[unit.toUpperCase()] : undefined;
  const bytes = Math.floor(Number(digits) * (factor ?? Number.NaN));
  if (digits === "" || !Number.isSafeInteger(bytes) || bytes < 1) {
    throw badRequest(`${option} takes a size such as 2GB or 500MB, not "${text}".`);
  }
  return bytes;
}
