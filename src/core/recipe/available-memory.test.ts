import { describe, expect, it } from "vitest";
import { availableMemory, groupFolders, groupLeft, parseMemAvailable } from "./available-memory.ts";

describe("parseMemAvailable", () => {
  it("reads the kernel's figure in bytes", () => {
    expect(parseMemAvailable("MemTotal:  100 kB\nMemAvailable:   42 kB\n")).toBe(42 * 1024);
    expect(parseMemAvailable("MemTotal:  100 kB\n")).toBeNull();
  });
});

describe("groupLeft", () => {
  it("is the limit without what is used, page cache not counted", () => {
    expect(groupLeft({ limit: "1000\n", usage: "600\n", stat: "anon 100\ninactive_file 200\n" })).toBe(600);
    expect(groupLeft({ limit: "1000", usage: "600", stat: "cache 9\ntotal_inactive_file 50\n" })).toBe(450);
    expect(groupLeft({ limit: "1000", usage: "1400", stat: "" })).toBe(0);
  });

  it("is null where there is no limit, in either version's spelling", () => {
    expect(groupLeft({ limit: "max\n", usage: "600", stat: "" })).toBeNull();
    expect(groupLeft({ limit: "9223372036854771712", usage: "600", stat: "" })).toBeNull();
    expect(groupLeft({ limit: "1000", usage: "", stat: "" })).toBe(1000);
  });
});

describe("groupFolders", () => {
  it("lists a group and all above it", () => {
    expect(groupFolders("0::/user.slice/app\n")).toEqual([
      "/sys/fs/cgroup/user.slice/app",
      "/sys/fs/cgroup/user.slice",
      "/sys/fs/cgroup",
    ]);
    expect(groupFolders("0::/\n")).toEqual(["/sys/fs/cgroup"]);
    expect(groupFolders("5:cpu:/x\n4:memory:/docker/1\n0::/\n")).toEqual([
      "/sys/fs/cgroup/memory/docker/1",
      "/sys/fs/cgroup/memory/docker",
      "/sys/fs/cgroup/memory",
    ]);
  });
});

describe("availableMemory", () => {
  it("is some, and says where from", async () => {
    const { bytes, how } = await availableMemory();
    expect(bytes).toBeGreaterThan(1e6);
    expect(how).toMatch(/machine|container/);
  });
});
