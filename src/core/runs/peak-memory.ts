// The most memory this process has held.
import { readFile } from "node:fs/promises";

export async function peakMemoryBytes(): Promise<number> {
  if (process.platform === "linux") {
    // getrusage would count what the launching process held before it became this one.
    const status = await readFile("/proc/self/status", "utf8").catch(() => "");
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kilobytes !== undefined) {
      return Number(kilobytes) * 1024;
    }
  }
  return process.resourceUsage().maxRSS * 1024;
}
