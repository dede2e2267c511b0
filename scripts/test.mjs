#!/usr/bin/env node
// Runs every suite and ends with one line that totals them: `N passed, N failed, N skipped`.
// usage: node scripts/test.mjs [--only check|native|sanitize|cuda|py|unit|e2e]
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const results = path.join(root, "build", "test-results");
const onlyAt = process.argv.indexOf("--only");
const only = onlyAt < 0 ? null : process.argv[onlyAt + 1];

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** @param {string} command @param {string[]} args @param {Record<string, string>} [env] */
function run(command, args, env = {}) {
  return spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
}

/** @param {string} command @param {string[]} args */
function capture(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 28,
  });
  return { status: result.status, output: `${result.stdout ?? ""}${result.stderr ?? ""}` };
}

/** @returns {Count} */
function checkSuite() {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const name of ["check:types", "check:lint", "check:format", "check:unused"]) {
    const { status, output } = capture("npm", ["run", "--silent", name]);
    console.log(`${status === 0 ? "ok" : "not ok"} - ${name}`);
    if (status === 0) {
      count.passed += 1;
    } else {
      console.log(output);
      count.failed += 1;
    }
  }
  return count;
}

/** @param {string} build @returns {Count} */
function nativeSuite(build = "native") {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const folder = path.join(root, "build", build, "tests");
  const programs = existsSync(folder) ? readdirSync(folder).filter((name) => /^test-[a-z-]+$/.test(name)) : [];
  if (programs.length === 0) {
    console.log(`not ok - no native test program was built in build/${build}/tests`);
    count.failed += 1;
  }
  for (const name of programs.toSorted()) {
    const { status, output } = capture(path.join(folder, name), []);
    const passed = output.match(/^ok - /gm)?.length ?? 0;
    const failed = output.match(/^not ok - /gm)?.length ?? 0;
    count.passed += passed;
    count.failed += failed;
    // A program that crashed, or ran nothing, has failed whatever it printed.
    const broke = (status !== 0 && failed === 0) || passed + failed === 0;
    count.failed += broke ? 1 : 0;
    console.log(`${broke || failed > 0 ? "not ok" : "ok"} - ${name}: ${passed} passed, ${failed} failed`);
    if (broke || failed > 0) {
      console.log(output);
    }
  }
  return count;
}

/**
 * The native tests once more with address and undefined-behaviour sanitizers; a finding ends its program.
 * @returns {Count}
 */
function sanitizeSuite() {
  const { status, output } = capture("node", ["scripts/build-native.mjs", "--sanitize"]);
  if (status !== 0) {
    console.log(output);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  return nativeSuite("native-sanitize");
}

/**
 * That the CUDA library compiles for every GPU it knows, without a warning. Its kernels run in the native suite, emulated;
 * on a GPU they run in test/gpu/run.sh.
 * @returns {Count}
 */
function cudaSuite() {
  const nvcc = ["nvcc", "/usr/local/cuda/bin/nvcc"].find((name) => capture(name, ["--version"]).status === 0);
  if (nvcc === undefined) {
    console.log("skipped - the CUDA library is not compiled: nvcc is not on this machine");
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const { status, output } = capture("node", ["scripts/build-native.mjs", "--cuda"]);
  const library = path.join(root, "build", "native-cuda", "backends", "cuda", "libassay-cuda.so");
  const isBuilt = status === 0 && existsSync(library);
  console.log(`${isBuilt ? "ok" : "not ok"} - the CUDA library compiles without warnings`);
  if (!isBuilt) {
    console.log(output);
  }
  return { passed: isBuilt ? 1 : 0, failed: isBuilt ? 0 : 1, skipped: 0 };
}

/** @returns {Count} */
function pythonSuite() {
  const { status, output } = capture("/usr/bin/python3", [
    "-m",
    "unittest",
    "discover",
    "-s",
    "bench/parity",
    "-p",
    "test_*.py",
    "-v",
  ]);
  const total = Number(/^Ran (\d+) tests?/m.exec(output)?.[1] ?? 0);
  const skipped = Number(/skipped=(\d+)/.exec(output)?.[1] ?? 0);
  const failed = Number(/failures=(\d+)/.exec(output)?.[1] ?? 0) + Number(/errors=(\d+)/.exec(output)?.[1] ?? 0);
  const broke = (status !== 0 && failed === 0) || total === 0;
  if (status !== 0 || broke) {
    console.log(output);
  }
  return { passed: total - skipped - failed, failed: failed + (broke ? 1 : 0), skipped };
}

/** @returns {Count} */
function vitestSuite() {
  const file = path.join(results, "vitest.json");
  rmSync(file, { force: true });
  const { status } = run("npx", [
    "vitest",
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${file}`,
  ]);
  if (!existsSync(file)) {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const report = JSON.parse(readFileSync(file, "utf8"));
  const failed = report.numFailedTests;
  return {
    passed: report.numPassedTests,
    failed: status !== 0 && failed === 0 ? Math.max(1, report.numFailedTestSuites ?? 1) : failed,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

/** @returns {Count} */
function windowSuite() {
  const file = path.join(results, "e2e.json");
  rmSync(file, { force: true });
  const { status } = run(
    "xvfb-run",
    [
      "-a",
      "-s",
      "-screen 0 1600x1200x24",
      "npx",
      "playwright",
      "test",
      "-c",
      "test/e2e/playwright.config.ts",
      "--reporter=list,json",
    ],
    { PLAYWRIGHT_JSON_OUTPUT_NAME: file },
  );
  if (!existsSync(file)) {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const { stats } = JSON.parse(readFileSync(file, "utf8"));
  const passed = stats.expected + stats.flaky;
  return {
    passed,
    failed: stats.unexpected + (status !== 0 && stats.unexpected === 0 ? 1 : 0),
    skipped: stats.skipped,
  };
}

/** @type {Record<string, () => Count>} */
const suites = {
  check: checkSuite,
  native: nativeSuite,
  sanitize: sanitizeSuite,
  cuda: cudaSuite,
  py: pythonSuite,
  unit: vitestSuite,
  e2e: windowSuite,
};

if (only !== null && only !== undefined && suites[only] === undefined) {
  console.error(`There is no suite "${only}": it is one of ${Object.keys(suites).join(", ")}.`);
  process.exit(2);
}
mkdirSync(results, { recursive: true });
const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const lines = [];
for (const [name, suite] of Object.entries(suites)) {
  if (only !== null && only !== name) {
    continue;
  }
  const begin = Date.now();
  console.log(`\n== ${name}`);
  const count = suite();
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
  lines.push(
    `${name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped, ${((Date.now() - begin) / 1000).toFixed(0)} s`,
  );
}
console.log(`\n${lines.join("\n")}\n`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
