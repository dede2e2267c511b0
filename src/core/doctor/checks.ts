// What this machine has, what is missing, and the one command that mends it: `assay doctor`. Every check looks at the
// real thing (loads the addon, writes to the workspace) and says what it found; none of them changes anything.
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { loadAddon, type NativeCuda } from "#core/engine/addon";
import { programRoot } from "#core/paths";
import { toErrorEnvelope } from "#shared/errors";

export type DoctorCheck = {
  readonly name: string;
  readonly ok: boolean;
  /** Without it Assay does not work at all; the others cost speed or one feature. */
  readonly required: boolean;
  readonly found: string;
  /** What to do; empty where nothing is wrong. */
  readonly fix: string;
};

function check(name: string, ok: boolean, required: boolean, found: string, fix: string): DoctorCheck {
  return { name, ok, required, found, fix: ok ? "" : fix };
}

function checkNode(): DoctorCheck {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return check("node", ok, true, process.version, "install Node 20.19 or newer");
}

function checkTool(name: string, args: readonly string[], fix: string): DoctorCheck {
  const result = spawnSync(name, args, { encoding: "utf8" });
  const ok = result.status === 0;
  return check(name, ok, false, ok ? (result.stdout.split("\n")[0] ?? "").trim() : "not found", fix);
}

function checkEngine(): readonly DoctorCheck[] {
  try {
    const machine = loadAddon().machine();
    const isOneDnn = machine.gemm === "onednn";
    return [
      check("engine", true, true, `${machine.engineVersion} on ${machine.cpuModel}`, ""),
      check(
        "cpu",
        true,
        false,
        `${machine.physicalCores} cores, ${machine.isa.join(" ") || "no vector extensions"}`,
        "",
      ),
      check(
        "onednn",
        isOneDnn,
        false,
        isOneDnn
          ? `${machine.onednnVersion ?? "unknown version"} (${machine.onednnPath ?? "unknown path"})`
          : "not found; the built-in kernel serves",
        "apt-get install -y libdnnl2",
      ),
    ];
  } catch (error) {
    return [check("engine", false, true, toErrorEnvelope(error).message, "npm run build:native")];
  }
}

/** Asked of the engine, which finds driver and libraries as training will. */
function checkGpu(): readonly DoctorCheck[] {
  let cuda: NativeCuda;
  try {
    ({ cuda } = loadAddon().machine());
  } catch (error) {
    const found = toErrorEnvelope(error).message;
    return ["driver", "gpu", "cublaslt"].map((name) => check(name, false, false, found, "npm run build:native"));
  }
  const gpus = cuda.gpus.map(
    ({ id, name, memoryBytes, freeBytes, computeCapability }) =>
      `${id} ${name}, compute capability ${computeCapability}, ${(memoryBytes / 1e9).toFixed(1)} GB, ${(freeBytes / 1e9).toFixed(1)} GB free`,
  );
  return [
    check(
      "driver",
      cuda.driverVersion !== null,
      false,
      cuda.driverVersion === null ? "no NVIDIA driver" : `NVIDIA driver for CUDA ${cuda.driverVersion}`,
      "install NVIDIA's driver if this machine has a GPU; without one recipes train on the processor",
    ),
    check(
      "gpu",
      gpus.length > 0 && cuda.problem === null,
      false,
      gpus.length > 0 ? gpus.join("; ") : "no GPU that the driver knows",
      cuda.problem ?? "nothing to do without a GPU: recipes train on the processor",
    ),
    check(
      "cublaslt",
      cuda.cublasltPath !== null,
      false,
      cuda.cublasltPath ?? "not found",
      "pip install nvidia-cublas, or install the CUDA toolkit; only a GPU needs it",
    ),
  ];
}

function checkElectron(): DoctorCheck {
  const override = process.env["ELECTRON_OVERRIDE_DIST_PATH"];
  const folder =
    override !== undefined && override !== "" ? override : path.join(programRoot(), "node_modules", "electron", "dist");
  const binary = path.join(folder, process.platform === "win32" ? "electron.exe" : "electron");
  const ok = existsSync(binary);
  return check(
    "electron",
    ok,
    false,
    ok ? binary : "its binary is not here; the command line works without it",
    "node node_modules/electron/install.js",
  );
}

function checkTorch(): DoctorCheck {
  const result = spawnSync("/usr/bin/python3", ["-c", "import torch; print(torch.__version__)"], { encoding: "utf8" });
  const ok = result.status === 0;
  return check(
    "pytorch",
    ok,
    false,
    ok ? `${result.stdout.trim()} (for tests and benches only)` : "not found; only tests and benches compare with it",
    "apt-get install -y --no-install-recommends python3-torch python3-numpy libopenblas0-openmp",
  );
}

function checkTiktoken(): DoctorCheck {
  try {
    const found = createRequire(import.meta.url).resolve("tiktoken/encoders/gpt2.json");
    return check("gpt2-vocabulary", true, false, found, "");
  } catch {
    return check(
      "gpt2-vocabulary",
      false,
      false,
      "the npm package tiktoken is not installed",
      "npm install --ignore-scripts",
    );
  }
}

function checkWorkspace(workspace: string): readonly DoctorCheck[] {
  const probe = path.join(workspace, `.doctor-${process.pid}`);
  let problem: string | null = null;
  let existing = workspace;
  while (!existsSync(existing)) {
    existing = path.dirname(existing);
  }
  try {
    if (existing === workspace) {
      mkdirSync(probe);
      writeFileSync(path.join(probe, "probe"), "probe");
      rmSync(probe, { recursive: true });
    } else {
      accessSync(existing, constants.W_OK);
    }
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  const disk = statfsSync(existing);
  const freeGb = (disk.bavail * disk.bsize) / 1e9;
  const state = existing === workspace ? workspace : `${workspace} (will be made on first use)`;
  return [
    check(
      "workspace",
      problem === null,
      true,
      problem === null ? state : `${workspace}: ${problem}`,
      "set ASSAY_HOME to a folder you may write",
    ),
    check(
      "disk",
      freeGb > 2,
      false,
      `${freeGb.toFixed(1)} GB free`,
      "free some space, or set ASSAY_HOME to another disk",
    ),
    check(
      "memory",
      os.totalmem() > 2e9,
      false,
      `${(os.totalmem() / 1e9).toFixed(1)} GB, ${(os.freemem() / 1e9).toFixed(1)} GB free`,
      "close other programs",
    ),
  ];
}

export function runDoctor(workspace: string): readonly DoctorCheck[] {
  return [
    checkNode(),
    checkTool("cmake", ["--version"], "apt-get install -y cmake g++"),
    ...checkEngine(),
    ...checkGpu(),
    checkElectron(),
    checkTiktoken(),
    checkTorch(),
    ...checkWorkspace(workspace),
  ];
}
