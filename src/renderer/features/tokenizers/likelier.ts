// A difference of log probabilities as a person reads it.
import { formatCount } from "../../lib/format.ts";

export function timesLikelier(difference: number): string {
  const times = Math.exp(difference);
  if (times >= 1e6) {
    return "over a million ×";
  }
  const text = times >= 100 ? formatCount(Math.round(times)) : times.toPrecision(2);
  return `${text} ×`;
}
