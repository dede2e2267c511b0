// A model in words and figures: what its family, head and origin are called, its shape in one line, where its bytes are.
import type {
  ExportResult,
  LintFinding,
  ModelDescription,
  ModelFamilyName,
  ModelHeadName,
  ModelInfo,
} from "#shared/domain/model";
import { assertNever } from "#shared/errors";
import { formatCount, formatLarge } from "../../lib/format.ts";

export const familyNames: Readonly<Record<ModelFamilyName, string>> = {
  gpt2: "GPT-2",
  bert: "BERT",
  megatron_bert: "Megatron-BERT",
};

export const headNames: Readonly<Record<ModelHeadName, string>> = {
  "causal-lm": "causal language model",
  "masked-lm": "masked language model",
  pretraining: "masked language model with sentence order",
  "multiple-choice": "multiple choice",
  "sequence-classification": "sequence classification",
  "token-classification": "token classification",
  "span-qa": "span question answering",
};

const originNames: Readonly<Record<ModelInfo["origin"], string>> = {
  run: "checkpoint",
  export: "export",
  fetched: "fetched",
  opened: "opened",
};

export function originText(info: Pick<ModelInfo, "origin">): string {
  return originNames[info.origin];
}

export function modelLabel({ name, step }: Pick<ModelInfo, "name" | "step">): string {
  return step === null ? name : `${name}, step ${formatCount(step)}`;
}

/** `2.59 B`: as papers count parameters. */
export function parametersQuantity(value: number): readonly [string, string] {
  const [shown, unit] = formatLarge(value);
  return [shown, unit === "G" ? "B" : unit];
}

export function shapeText({ shape }: Pick<ModelDescription, "shape">): string {
  return `${formatCount(shape.width)} wide, ${shape.heads} ${shape.heads === 1 ? "head" : "heads"}`;
}

export type TensorOrder = "file" | "name" | "size";

export function shapeOfTensor(shape: readonly number[]): string {
  return shape.length === 0 ? "scalar" : shape.map((size) => formatCount(size)).join(" × ");
}

/** Tensors whose name, type or shape holds every word of the search; `12.attn f32` finds both. */
export function findTensors(
  tensors: ModelDescription["tensors"],
  search: string,
  order: TensorOrder,
): ModelDescription["tensors"] {
  const words = search
    .toLowerCase()
    .replaceAll("×", "x")
    .split(/\s+/u)
    .filter((word) => word !== "");
  const found = tensors.filter((tensor) => {
    const text = `${tensor.name} ${tensor.dtype} ${tensor.shape.join("x")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  switch (order) {
    case "name":
      return found.toSorted((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    case "size":
      return found.toSorted((a, b) => b.sizeBytes - a.sizeBytes);
    case "file":
      return found;
    default:
      return assertNever(order);
  }
}

/** `F32` or `F32 and F16`: how the files keep the weights, the most bytes first. */
export function dtypesText(tensors: ModelDescription["tensors"]): string {
  const bytes = new Map<string, number>();
  for (const { dtype, sizeBytes } of tensors) {
    bytes.set(dtype, (bytes.get(dtype) ?? 0) + sizeBytes);
  }
  return [...bytes]
    .toSorted(([, a], [, b]) => b - a)
    .map(([dtype]) => dtype)
    .join(" and ");
}

const severityOrder: readonly LintFinding["severity"][] = ["error", "warning", "note"];

/** The gravest first; within one severity as they were found. */
export function sortFindings(findings: readonly LintFinding[]): readonly LintFinding[] {
  return findings.toSorted((a, b) => severityOrder.indexOf(a.severity) - severityOrder.indexOf(b.severity));
}

export function isFitting(findings: readonly LintFinding[]): boolean {
  return findings.every(({ severity }) => severity === "note");
}

/** That they fit, or how many findings of which kind. */
export function lintSummary(findings: readonly LintFinding[]): string {
  const count = (severity: LintFinding["severity"]): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const parts = (["error", "warning"] as const).flatMap((severity) => {
    const number = count(severity);
    return number === 0 ? [] : [`${number} ${severity}${number === 1 ? "" : "s"}`];
  });
  if (parts.length === 0) {
    return "They fit each other.";
  }
  return count("error") > 0 ? `They do not fit: ${parts.join(", ")}.` : `They may fit, with ${parts.join(", ")}.`;
}

/** What reading an export back has shown, in a sentence. */
export function comparisonText({ comparison }: ExportResult): string {
  const { tokens, maxDifference, tolerance, sameTopToken } = comparison;
  const exactly =
    maxDifference === 0
      ? "its logits are equal to the bit"
      : `its logits differ by at most ${maxDifference.toExponential(1)} (${tolerance.toExponential(0)} is allowed)`;
  const top =
    sameTopToken === tokens
      ? `the likeliest token is the same at all ${formatCount(tokens)} positions`
      : `the likeliest token is the same at ${formatCount(sameTopToken)} of ${formatCount(tokens)} positions`;
  return `Read back and compared: ${exactly}, and ${top}.`;
}
