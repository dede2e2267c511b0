// How much memory a run may take here and now: what the kernel calls available, and what the container's limit leaves.
import { readFile } from "node:fs/promises";
import os from "node:os";

export type AvailableMemory = { readonly bytes: number; readonly how: string };

/** `MemAvailable` of /proc/meminfo; null where it has no such line. */
export function parseMemAvailable(text: string): number | null {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** What a control group leaves; null without a limit. Its page cache can be given back and does not count as used. */
export function groupLeft(files: {
  readonly limit: string;
  readonly usage: string;
  readonly stat: string;
}): number | null {
  const limit = Number(files.limit.trim());
  const usage = Number(files.usage.trim());
  // "max" is no number; version 1 writes a number near 2^63 for no limit.
  if (!Number.isFinite(limit) || limit <= 0 || limit > 2 ** 53 || !Number.isFinite(usage)) {
    return null;
  }
  const cache = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(files.stat)?.[1] ?? 0);
  return Math.max(0, limit - Math.max(0, usage - cache));
}

async function textOf(file: string): Promise<string> {
  return readFile(file, "utf8").catch(() => "");
}

/** Folders of this process's control group, from its own up: any of them may hold the limit. */
export function groupFolders(procSelfCgroup: string): readonly string[] {
  const unified = /^0::(\/.*)$/m.exec(procSelfCgroup)?.[1];
  const memory = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(procSelfCgroup)?.[1];
  const root = memory === undefined ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  const folders: string[] = [];
  for (let at = memory ?? unified ?? "/"; at !== "/" && at !== "."; at = at.slice(0, at.lastIndexOf("/")) || "/") {
    folders.push(root + at);
  }
  return [...folders, root];
}

async function cgroupLeft(): Promise<number | null> {
  let least: number | null = null;
  for (const folder of groupFolders(await textOf("/proc/self/cgroup"))) {
    const [limit, usage] = await Promise.all([
      textOf(`${folder}/memory.max`).then((text) => (text === "" ? textOf(`${folder}/memory.limit_in_bytes`) : text)),
      textOf(`${folder}/memory.current`).then((text) =>
        text === "" ? textOf(`${folder}/memory.usage_in_bytes`) : text,
      ),
    ]);
    const left = limit === "" ? null : groupLeft({ limit, usage, stat: await textOf(`${folder}/memory.stat`) });
    if (left !== null && (least === null || left < least)) {
      least = left;
    }
  }
  return least;
}

export async function availableMemory(): Promise<AvailableMemory> {
  const available = parseMemAvailable(await textOf("/proc/meminfo")) ?? os.freemem();
  const left = await cgroupLeft();
  return left !== null && left < available
    ? { bytes: left, how: "left by the container's limit" }
    : { bytes: available, how: "available on this machine" };
}
