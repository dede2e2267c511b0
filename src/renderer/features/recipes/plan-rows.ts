// The forecast as rows of a plan: label, value, unit, and the arithmetic each row opens.
import type { Forecast } from "#shared/ipc/recipes.contract";
import { formatCount, formatDuration, formatLarge } from "../../lib/format.ts";

export type PlanRow = {
  readonly key: string;
  readonly label: string;
  readonly value: string;
  readonly unit: string;
  readonly how: string;
};
export type Quantity = { readonly value: string; readonly unit: string };

const THIN_SPACE = "\u2009";

/** 3.75 M, 2.59 B; whole below a thousand. */
export function countQuantity(value: number): Quantity {
  const [shown, scale] = formatLarge(value);
  return { value: shown, unit: scale === "G" ? "B" : scale };
}

/** Decimal units, as disks and the rest of the window have them. */
export function bytesQuantity(value: number): Quantity {
  const [shown, scale] = formatLarge(value);
  return { value: shown, unit: `${scale}B` };
}

export function flopsQuantity(value: number): Quantity {
  const [shown, scale] = formatLarge(value);
  return { value: shown, unit: `${scale}FLOP` };
}

export function planRows(forecast: Forecast): readonly PlanRow[] {
  const row = (
    key: Exclude<keyof Forecast, "precision" | "basis">,
    label: string,
    how: string,
    quantity: Quantity,
  ): PlanRow => ({
    key,
    label,
    how,
    ...quantity,
  });
  const {
    parameters,
    trainableParameters,
    tokensTotal,
    steps,
    flopsPerToken,
    memoryBytes,
    diskBytes,
    download,
    tokensPerSecond,
    seconds,
  } = forecast;
  const rate = tokensPerSecond.value;
  return [
    row("parameters", "parameters", parameters.how, countQuantity(parameters.value)),
    ...(trainableParameters.value === parameters.value
      ? []
      : [
          row(
            "trainableParameters",
            "trained of them",
            trainableParameters.how,
            countQuantity(trainableParameters.value),
          ),
        ]),
    row("tokensTotal", "tokens", tokensTotal.how, countQuantity(tokensTotal.value)),
    row("steps", "steps", steps.how, { value: formatCount(steps.value), unit: "" }),
    row("flopsPerToken", "FLOPs a token", flopsPerToken.how, flopsQuantity(flopsPerToken.value)),
    row("memoryBytes", `memory, ${forecast.precision}`, memoryBytes.how, bytesQuantity(memoryBytes.value)),
    row("diskBytes", "disk", diskBytes.how, bytesQuantity(diskBytes.value)),
    ...(download === null
      ? []
      : [
          row(
            "download",
            "download",
            download.how,
            download.value === null ? { value: "not asked", unit: "" } : bytesQuantity(download.value),
          ),
        ]),
    row("tokensPerSecond", "rate", tokensPerSecond.how, {
      value: rate < 100 ? rate.toPrecision(2) : formatCount(rate),
      unit: "tok/s",
    }),
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
