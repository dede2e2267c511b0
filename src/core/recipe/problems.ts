// Turns what the YAML parser and the schema find into problems a person can act on: one sentence each, placed at the key
// or value it is about, with the edit that mends it where there is one.
import type { z } from "zod";
import { RECIPE_FORMAT_VERSION } from "#shared/domain/recipe";
import { readBytes } from "#shared/domain/recipe-bytes";
import { readDuration } from "#shared/domain/recipe-duration";
import { notBuiltSentence } from "#shared/domain/recipe-not-built";
import type { ErrorCode } from "#shared/errors";
import { adviseKey, nearestWord } from "./nearest-key.ts";
import { allKeyPaths, expectedAt } from "./schema-walk.ts";

/** A problem before it has a place in the text. */
export type RawProblem = {
  readonly code: ErrorCode;
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly path: readonly PropertyKey[];
  readonly at: "key" | "value";
  readonly suggestion: string | null;
};

type Issue = z.core.$ZodIssue;

export function joinPath(path: readonly PropertyKey[]): string {
  return path.map(String).join(".");
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? `"${value}"` : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Of a union's branches, the one that fits the kind of value that stands there: its issues say most. */
function flatten(issues: readonly Issue[]): readonly Issue[] {
  return issues.flatMap((issue): readonly Issue[] => {
    if (issue.code !== "invalid_union") {
      return [issue];
    }
    const fitting = issue.errors.find(
      (branch) =>
        branch.length > 0 && branch.every((each) => each.path.length > 0 || each.code === "unrecognized_keys"),
    );
    if (fitting === undefined) {
      return [issue];
    }
    const placed = fitting.map((each) => ({ ...each, path: [...issue.path, ...each.path] }));
    return flatten(placed);
  });
}

const unitNames: Readonly<Record<string, string>> = {
  step: "ba",
  steps: "ba",
  it: "ba",
  iters: "ba",
  iterations: "ba",
  batches: "ba",
  epoch: "ep",
  epochs: "ep",
  token: "tok",
  tokens: "tok",
  s: "sec",
  secs: "sec",
  seconds: "sec",
};

/** What a wrong value was meant to be, where that is plain. */
function suggestedValue(value: unknown, expects: string, options: readonly string[]): string | null {
  if (expects.startsWith("a duration")) {
    if (typeof value === "number" && Number.isInteger(value) && value > 0) {
      return `${value}ba`;
    }
    const match = typeof value === "string" ? /^\s*([\d.]+(?:[eE]\d+)?)\s*([a-zA-Z]+)\s*$/.exec(value) : null;
    const unit = match?.[2]?.toLowerCase() ?? "";
    const repaired = match === null ? null : `${match[1]}${unitNames[unit] ?? unit}`;
    return repaired !== null && repaired !== value && readDuration(repaired) !== null ? repaired : null;
  }
  if (expects.startsWith("a size")) {
    const match = typeof value === "string" ? /^\s*([\d.]+)\s*([kmgt])i?b?\s*$/i.exec(value) : null;
    const repaired = match === null ? null : `${match[1]}${match[2]?.toLowerCase()}b`;
    return repaired !== null && repaired !== value && readBytes(repaired) !== null ? repaired : null;
  }
  if (typeof value === "string") {
    const bare = value.replaceAll(/[_,\s]/g, "");
    if (expects.includes("number") && bare !== "" && Number.isFinite(Number(bare))) {
      return bare;
    }
    return nearestWord(value, options);
  }
  return null;
}

function wordsOf(expects: string): readonly string[] {
  return /^[a-z0-9_+-]+(?:(?:, | or )[a-z0-9_+-]+)*$/.test(expects) ? expects.split(/, | or /) : [];
}

function unknownKey(level: readonly PropertyKey[], key: string, value: unknown): RawProblem {
  const path = [...level, key];
  const common = { severity: "error", path, at: "key" } as const;
  const notBuilt = notBuiltSentence(joinPath(path), value);
  if (notBuilt !== null) {
    return { ...common, code: "NOT_SUPPORTED", message: notBuilt, suggestion: null };
  }
  const levelPath = level.map((part) => (typeof part === "number" ? "*" : String(part))).join(".");
  const advice = adviseKey(key, levelPath, allKeyPaths());
  return {
    ...common,
    code: "RECIPE_INVALID",
    message: `There is no key ${joinPath(path)}: ${advice.sentence}${advice.sentence.endsWith("?") ? "" : "."}`,
    suggestion: advice.replacement,
  };
}

function wrongValue(path: readonly PropertyKey[], value: unknown): RawProblem {
  const name = joinPath(path);
  const common = { severity: "error", path, at: "value" } as const;
  if (name === "format_version") {
    return {
      ...common,
      code: "FORMAT_VERSION_UNKNOWN",
      message: `This recipe says format_version ${shown(value)}, and this version of Assay reads ${RECIPE_FORMAT_VERSION}; update Assay, or write the recipe for format ${RECIPE_FORMAT_VERSION}.`,
      suggestion: null,
    };
  }
  const notBuilt = notBuiltSentence(name, value);
  if (notBuilt !== null) {
    return {
      ...common,
      code: "NOT_SUPPORTED",
      message: notBuilt,
      suggestion: wordsOf(expectedAt(path) ?? "").at(-1) ?? null,
    };
  }
  const expects = expectedAt(path) ?? "something else";
  if (value === undefined) {
    const above = joinPath(path.slice(0, -1));
    return {
      ...common,
      at: "key",
      code: "RECIPE_INVALID",
      message: `${above === "" ? "The recipe" : above} lacks ${String(path.at(-1))}; it takes ${expects}.`,
      suggestion: null,
    };
  }
  const suggestion = suggestedValue(value, expects, wordsOf(expects));
  const meant = suggestion === null ? "" : ` Did you mean ${suggestion}?`;
  const found = value === null ? "is empty" : `is ${shown(value)}`;
  return { ...common, code: "RECIPE_INVALID", message: `${name} ${found}; it takes ${expects}.${meant}`, suggestion };
}

/** One problem for each key or value the schema refuses. */
export function schemaProblems(
  issues: readonly Issue[],
  valueAt: (path: readonly PropertyKey[]) => unknown,
): readonly RawProblem[] {
  const problems: RawProblem[] = [];
  const seen = new Set<string>();
  const push = (problem: RawProblem) => {
    const id = joinPath(problem.path);
    if (!seen.has(id)) {
      seen.add(id);
      problems.push(problem);
    }
  };
  for (const issue of flatten(issues)) {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        push(unknownKey(issue.path, key, valueAt([...issue.path, key])));
      }
    } else {
      push(wrongValue(issue.path, valueAt(issue.path)));
    }
  }
  // What else is wrong with a recipe of another format this version cannot know.
  const foreign = problems.find((problem) => problem.code === "FORMAT_VERSION_UNKNOWN");
  return foreign === undefined ? withoutEchoes(problems) : [foreign];
}

/** A key that is only misspelt is not reported as missing too. */
function withoutEchoes(problems: readonly RawProblem[]): readonly RawProblem[] {
  const renamed = new Set(
    problems.flatMap((problem) =>
      problem.at === "key" && problem.suggestion !== null
        ? [joinPath([...problem.path.slice(0, -1), problem.suggestion])]
        : [],
    ),
  );
  return problems.filter((problem) => !renamed.has(joinPath(problem.path)));
}

/** The YAML parser's own errors, in our words where they are common. */
export function yamlSentence(code: string, message: string): string {
  if (/^Flow (map|sequence)/.test(message)) {
    return "A { or [ is left open here; close it with } or ].";
  }
  switch (code) {
    case "DUPLICATE_KEY":
      return "This key stands here a second time; keep one of the two.";
    case "TAB_AS_INDENT":
      return "YAML is indented with spaces, and this line begins with a tab; use two spaces a level.";
    case "MULTIPLE_DOCS":
      return "A recipe is one YAML document; take out the second one after ---.";
    case "BAD_INDENT":
      return "This line is not indented like its neighbours; keys of one level begin in the same column.";
    case "BLOCK_AS_IMPLICIT_KEY":
    case "MULTILINE_IMPLICIT_KEY":
      return "This line does not read as `key: value`; check the colon, the space after it, and the indentation.";
    case "MISSING_CHAR":
      return `Something is left open here: ${uncapitalized(message)}.`;
    default:
      return `This is not YAML: ${uncapitalized(message)}.`;
  }
}

function uncapitalized(message: string): string {
  return `${message.charAt(0).toLowerCase()}${message.slice(1)}`.replace(/\.$/, "");
}
