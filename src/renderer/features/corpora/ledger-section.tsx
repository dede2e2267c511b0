// The ledger: what an import or a cleaning left out or changed, rule by rule with samples, and every entry of a rule.
import { useState } from "react";
import type { CorpusInfo, RuleSummaryInfo } from "#shared/ipc/corpora.contract";
import { formatCount } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Pager } from "./pager.tsx";
import { ruleWords } from "./rule-words.ts";
import { useAsked } from "./store.ts";

const pageSize = 50;

function asText(rules: readonly RuleSummaryInfo[]): string {
  return tableText(
    ["rule", "action", "documents"],
    rules.map(({ rule, action, documents }) => [rule, action, documents]),
  );
}

export function LedgerSection({ info }: { readonly info: CorpusInfo }) {
  const [open, setOpen] = useState<string | null>(null);
  const { value, error, again } = useAsked("corpora.ledger", { path: info.path }, info.modifiedAt);
  if (error !== null) {
    return (
      <div className="banner banner-bad" role="alert">
        <span>{error}</span>
        <Button onClick={again}>Try again</Button>
      </div>
    );
  }
  if (value === null) {
    return <p className="muted">Reading the ledger…</p>;
  }
  const rules = value.rules.toSorted((a, b) => b.documents - a.documents);
  const most = Math.max(1, ...rules.map((rule) => rule.documents));
  return (
    <div className="ledger">
      {value.refused.length === 0 ? null : (
        <ul className="banner ledger-refused" aria-label="Files left out">
          {value.refused.map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      )}
      {rules.length === 0 ? (
        <p className="muted">Nothing was left out or changed: every document is as it was read.</p>
      ) : (
        <>
          <ul className="ledger-rules" aria-label="Rules">
            {rules.map((rule) => {
              const key = `${rule.action} ${rule.rule}`;
              return (
                <Rule
                  key={key}
                  rule={rule}
                  path={info.path}
                  share={rule.documents / most}
                  isOpen={open === key}
                  onToggle={() => setOpen(open === key ? null : key)}
                />
              );
            })}
          </ul>
          <p className="table-foot">
            <CopyButton className="small" text={() => asText(rules)}>
              Copy table
            </CopyButton>
          </p>
        </>
      )}
    </div>
  );
}

function Rule({
  rule,
  path,
  share,
  isOpen,
  onToggle,
}: {
  readonly rule: RuleSummaryInfo;
  readonly path: string;
  readonly share: number;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}) {
  return (
    <li className="ledger-rule">
      <button type="button" className="ledger-rule-head" aria-expanded={isOpen} onClick={onToggle}>
        <span className="mono ledger-name">{rule.rule}</span>
        <span className="muted ledger-words">{ruleWords(rule.rule)}</span>
        <span className={rule.action === "dropped" ? "ledger-action warn" : "ledger-action muted"}>{rule.action}</span>
        <span className="ledger-bar" aria-hidden="true">
          <span className={rule.action === "changed" ? "is-changed" : ""} style={{ width: `${100 * share}%` }} />
        </span>
        <span className="mono ledger-count">{formatCount(rule.documents)}</span>
      </button>
      {isOpen ? (
        <div className="ledger-open">
          {rule.samples.some((sample) => sample.excerpt !== undefined) ? (
            <ol className="documents ledger-samples" aria-label={`Samples of ${rule.rule}`}>
              {rule.samples.map((sample) => (
                <li key={`${sample.source ?? ""} ${sample.id}`} className="document">
                  <p className="document-head">
                    <span className="mono">{sample.id}</span>
                    <span>{sample.detail}</span>
                    <span className="muted">{sample.source}</span>
                  </p>
                  {sample.excerpt === undefined ? null : <p className="document-text is-cut">{sample.excerpt}</p>}
                </li>
              ))}
            </ol>
          ) : null}
          <Entries path={path} rule={rule} />
        </div>
      ) : null}
    </li>
  );
}

function Entries({ path, rule }: { readonly path: string; readonly rule: RuleSummaryInfo }) {
  const [from, setFrom] = useState(0);
  const { value, error } = useAsked("corpora.ledger-entries", { path, rule: rule.rule, from, count: pageSize });
  const [last, setLast] = useState<typeof value>(null);
  if (value !== null && value !== last) {
    setLast(value);
  }
  if (error !== null) {
    return (
      <p className="bad" role="alert">
        {error}
      </p>
    );
  }
  const rows = value ?? last;
  if (rows === null) {
    return <p className="muted">Reading the entries…</p>;
  }
  const to = from + rows.length;
  return (
    <>
      <table className={value === null ? "table ledger-entries is-loading" : "table ledger-entries"}>
        <caption className="sr-only">Entries of {rule.rule}</caption>
        <thead>
          <tr>
            <th scope="col">document</th>
            <th scope="col">what the rule found</th>
            <th scope="col" className="optional">
              from
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((entry, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: one document may stand there twice; rows never move
            <tr key={`${from + at} ${entry.id}`}>
              <td className="mono">{entry.id}</td>
              <td>{entry.detail}</td>
              <td className="muted optional">{entry.source}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Pager from={from} to={to} total={rule.documents} pageSize={pageSize} what="entries" onFrom={setFrom} />
    </>
  );
}
