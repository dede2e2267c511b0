// The part of the lint that opens the tokenizer: a sample text there and back, with every id inside the model's embedding.
import type { LintFinding } from "#shared/domain/model";
import type { NativeModelConfig, NativeTokenizer } from "../engine/addon.ts";

/** Capitals, accents, Greek, signs, numbers, two spaces: what texts of the field hold. */
export const LINT_SAMPLE =
  "Naïve TNF-α was 3.5 µmol/L (p < 0.05),  i.e. ± 2-fold; β-blockers & 37 °C.\nSjögren’s syndrome, 10 mg/kg";

const SHOWN = 60;
const spaces = /\s+/gu;

function plain(text: string): string {
  return text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase().replaceAll(spaces, "");
}

function words(text: string): number {
  return text.split(spaces).filter((word) => word !== "").length;
}

export function openedFindings(
  tokenizer: NativeTokenizer,
  config: Pick<NativeModelConfig, "vocabSize">,
  text: string = LINT_SAMPLE,
): readonly LintFinding[] {
  const { ids } = tokenizer.encode(text);
  const findings: LintFinding[] = [];
  const highest = ids.reduce((most, id) => Math.max(most, id), 0);
  if (highest >= config.vocabSize) {
    findings.push({
      code: "ID_BEYOND_MODEL",
      severity: "error",
      message: `A plain text already gives the id ${highest}, and the model's embedding ends at ${config.vocabSize - 1}.`,
    });
  }
  const unknownId = tokenizer.kind === "byte-bpe" ? null : tokenizer.roleId("unk");
  const unknown = unknownId === null ? 0 : ids.filter((id) => id === unknownId).length;
  if (unknown > 0) {
    findings.push({
      code: "SAMPLE_HAS_UNKNOWN",
      // One unknown sign in the sample is usual; a tenth of it is another script or another case.
      severity: unknown > words(text) / 10 ? "warning" : "note",
      message: `${unknown} of the ${ids.length} tokens of the sample text are ${tokenizer.piece(unknownId ?? 0)}: the model never sees what stood there.`,
    });
  }
  const back = new TextDecoder().decode(tokenizer.decode(ids));
  if (tokenizer.kind === "byte-bpe" && back !== text) {
    findings.push({
      code: "ROUND_TRIP_FAILS",
      severity: "warning",
      message: `The sample text does not come back as it went in, which byte-level BPE promises: ${JSON.stringify(back.slice(0, SHOWN))}….`,
    });
  } else if (unknown === 0 && plain(back) !== plain(text)) {
    findings.push({
      code: "ROUND_TRIP_FAILS",
      severity: "warning",
      message: `The sample text comes back changed by more than spaces, capitals and accents: ${JSON.stringify(back.slice(0, SHOWN))}….`,
    });
  }
  return findings;
}
