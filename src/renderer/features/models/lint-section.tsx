// How a model and a tokenizer fit: its own by default, or any other one, with what was found as sentences, the gravest
// first.
import { CircleAlert, CircleCheck, Info, TriangleAlert } from "lucide-react";
import { useEffect } from "react";
import type { LintFinding } from "#shared/domain/model";
import { useTokenizers } from "../tokenizers/store.ts";
import { tokenizerLabel } from "../tokenizers/tokenizer-label.ts";
import { isFitting, lintSummary, sortFindings } from "./model-words.ts";
import { lintAgainst, useModels } from "./store.ts";

const icons = { error: CircleAlert, warning: TriangleAlert, note: Info } as const;
const tones = { error: "bad", warning: "warn", note: "muted" } as const;

export function LintSection() {
  const { value, error, isLoading } = useModels((state) => state.lint);
  const own = useModels((state) => state.description.value?.tokenizer ?? null);
  return (
    <section className="model-section" aria-labelledby="lint-title">
      <div className="model-section-head">
        <h2 id="lint-title">Fit with a tokenizer</h2>
        <TokenizerChoice hasOwn={own !== null} />
      </div>
      {error === null ? null : <p className={own === null ? "muted" : "bad"}>{error}</p>}
      {value === null ? (
        error === null ? (
          <p className="muted">Comparing with its tokenizer…</p>
        ) : null
      ) : error === null ? (
        <div className={isLoading ? "is-loading" : ""} aria-busy={isLoading}>
          <p className="lint-summary" data-testid="lint-summary">
            {isFitting(value.findings) ? <CircleCheck size={14} className="ok" aria-hidden="true" /> : null}
            {lintSummary(value.findings)} <span className="muted path">{value.tokenizer}</span>
          </p>
          <ul className="lint-findings" data-testid="lint-findings">
            {sortFindings(value.findings).map((finding) => (
              <Finding key={`${finding.code} ${finding.message}`} finding={finding} />
            ))}
          </ul>
        </div>
      ) : null}
    </section>
  );
}

export function Finding({ finding }: { readonly finding: LintFinding }) {
  const Icon = icons[finding.severity];
  return (
    <li className="lint-finding" data-severity={finding.severity}>
      <span className={`lint-severity ${tones[finding.severity]}`}>
        <Icon size={14} aria-hidden="true" /> {finding.severity}
      </span>
      <span>{finding.message}</span>
    </li>
  );
}

/** The model's own, and every tokenizer of the workspace. */
function TokenizerChoice({ hasOwn }: { readonly hasOwn: boolean }) {
  const chosen = useModels((state) => state.lintWith);
  const tokenizers = useTokenizers((state) => state.list);
  const load = useTokenizers((state) => state.load);
  useEffect(() => void load(), [load]);
  return (
    <label className="memory-control">
      <span className="muted">tokenizer</span>
      <select
        className="select"
        value={chosen ?? ""}
        onChange={(event) => lintAgainst(event.currentTarget.value === "" ? null : event.currentTarget.value)}
      >
        <option value="">{hasOwn ? "its own" : "its own (there is none)"}</option>
        {(tokenizers ?? []).map((info) => (
          <option key={info.source} value={info.source}>
            {tokenizerLabel(info)}
          </option>
        ))}
      </select>
    </label>
  );
}
