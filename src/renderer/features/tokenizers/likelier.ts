// A difference of log probabilities as a person reads it.
import { formatCount } from "../../lib/format.ts";

export function timesLikelier(difference: number): string {
  const times = Math.exp(difference);
  const text =
    times >= 1e6 ? times.toExponential(0) : times >= 100 ? formatCount(Math.round(times)) : times.toPrecision(2);
  return `${text} ×`;
}
