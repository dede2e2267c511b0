// The forecast as rows of a plan: label, value, unit, and the arithmetic each row opens.
import type { Forecast } from "#shared/ipc/recipes.contract";
import { formatDuration } from "../../lib/format.ts";

export type PlanRow = { readonly key: string; readonly label: string; readonly value: string; readonly unit: string; readonly how: string };
export type Quantity = { readonly value: string; readonly unit: string };

const THIN_SPACE = "\u2009";

/** Whole numbers with thin spaces between thousands. */
function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/gu, THIN_SPACE);
}

/** Three significant digits and a scale in powers of `base`; small whole numbers stay as they are. */
function scaled(value: number, base: number, units: readonly string[]): Quantity {
  let scale = 0;
  let rest = value;
  while (Math.abs(rest) >= base && scale < units.length - 1) {
    rest /= base;
    scale += 1;
  }
  if (scale > 0 && Number(rest.toPrecision(3)) >= base && scale < units.length - 1) {
    rest /= base;
    scale += 1;
  }
  const digits = scale === 0 ? String(Math.round(rest)) : rest >= 100 ? rest.toFixed(0) : rest.toPrecision(3);
  return { value: digits, unit: units[scale] ?? "" };
}

/** 3.75 M, 2.59 B; exact below 10 000. */
export function countQuantity(value: number): Quantity {
  return value < 10_000 ? { value: grouped(value), unit: "" } : scaled(value, 1000, ["", "k", "M", "B", "T"]);
}

/** Decimal units, as disks and the rest of the window have them. */
export function bytesQuantity(value: number): Quantity {
  return scaled(value, 1000, ["B", "kB", "MB", "GB", "TB"]);
}

export function flopsQuantity(value: number): Quantity {
  return scaled(value, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"]);
}

export function planRows(forecast: Forecast): readonly PlanRow[] {
  const row = (key: keyof Forecast & string, label: string, how: string, quantity: Quantity): PlanRow => ({ key, label, how, ...quantity });
  const { parameters, tokensTotal, steps, flopsPerToken, memoryBytes, diskBytes, tokensPerSecond, seconds } = forecast;
  const rate = tokensPerSecond.value;
  return [
    row("parameters", "parameters", parameters.how, countQuantity(parameters.value)),
    row("tokensTotal", "tokens", tokensTotal.how, countQuantity(tokensTotal.value)),
    row("steps", "steps", steps.how, { value: grouped(steps.value), unit: "" }),
    row("flopsPerToken", "FLOPs a token", flopsPerToken.how, flopsQuantity(flopsPerToken.value)),
    row("memoryBytes", "memory", memoryBytes.how, bytesQuantity(memoryBytes.value)),
    row("diskBytes", "disk", diskBytes.how, bytesQuantity(diskBytes.value)),
    row("tokensPerSecond", "rate", tokensPerSecond.how, { value: rate < 100 ? rate.toPrecision(2) : grouped(rate), unit: "tok/s" }),
    row("seconds", "time", seconds.how, { value: formatDuration(seconds.value), unit: "" }),
  ];
}

/** Beside the launch button: "about 2 min, 312 MB memory, 45 MB disk". */
export function forecastSentence(forecast: Forecast): string {
  const memory = bytesQuantity(forecast.memoryBytes.value);
  const disk = bytesQuantity(forecast.diskBytes.value);
  const joined = (quantity: Quantity) => `${quantity.value}${THIN_SPACE}${quantity.unit}`;
  return `about ${formatDuration(forecast.seconds.value)}, ${joined(memory)} memory, ${joined(disk)} disk`;
}
