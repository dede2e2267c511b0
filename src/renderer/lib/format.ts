// Numbers for people: thin-spaced thousands, few digits, units apart so that they can be set lighter.

const thinSpace = "\u2009";

export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, thinSpace);
}

/** A number with so many significant digits, without exponent where it can be read without. */
export function formatNumber(value: number, digits = 4): string {
  if (!Number.isFinite(value)) {
    return String(value);
  }
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e7)) {
    return value.toExponential(digits - 2).replace("e+", "e");
  }
  return magnitude >= 10 ** digits ? formatCount(value) : value.toPrecision(digits);
}

const largeUnits = ["", "k", "M", "G", "T", "P"];

/** `3.75 M`: value and unit apart. */
export function formatLarge(value: number): readonly [string, string] {
  let scaled = value;
  let unit = 0;
  while (Math.abs(scaled) >= 999.5 && unit < largeUnits.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return [unit === 0 ? formatCount(scaled) : scaled.toPrecision(3), largeUnits[unit] ?? ""];
}

export function formatBytes(bytes: number): string {
  const [value, unit] = formatLarge(bytes);
  return `${value}${thinSpace}${unit === "k" ? "kB" : `${unit}B`}`;
}

export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) {
    return "–";
  }
  if (seconds < 60) {
    return `${seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)}${thinSpace}s`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)}${thinSpace}min ${Math.floor(seconds % 60)}${thinSpace}s`;
  }
  if (seconds < 48 * 3600) {
    return `${Math.floor(seconds / 3600)}${thinSpace}h ${Math.floor((seconds % 3600) / 60)}${thinSpace}min`;
  }
  return `${(seconds / 86_400).toFixed(1)}${thinSpace}days`;
}

/** `14:22` today, else `21 Nov 14:22`. */
export function formatTime(iso: string, now: Date = new Date()): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) {
    return "–";
  }
  const clock = time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return time.toDateString() === now.toDateString()
    ? clock
    : `${time.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${clock}`;
}
