// What a corpus is made of: documents, words and tokens by year, journal, language, section, MeSH and more, as bars that are
// tables. A small corpus is counted at once, a large one when asked.
import { useEffect, useState } from "react";
import type { CorpusInfo, CorpusStatisticsInfo } from "#shared/ipc/corpora.contract";
import { formatBytes, formatCount, formatLarge } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { useTokenizers } from "../tokenizers/store.ts";
import { tokenizerLabel } from "../tokenizers/tokenizer-label.ts";
import { rememberTokenizer, useForms } from "./forms.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, startJob, useJob } from "./jobs.ts";
import { type Amount, chronological, groupTitles, isSaid, type Measure, NOT_SAID } from "./statistics-rows.ts";

/** Counted without being asked: some seconds at most. */
const smallBytes = 32 * 1024 * 1024;
const shownRows = 10;

export function StatisticsSection({ info }: { readonly info: CorpusInfo }) {
  const subject = `${info.path} ${info.modifiedAt}`;
  const job = useJob("corpora.statistics", subject);
  const tokenizers = useTokenizers((state) => state.list);
  const tokenizer = useForms((state) => state.countedBy[subject] ?? "");
  const [last, setLast] = useState<CorpusStatisticsInfo | null>(null);
  if (job?.state === "done" && job.result !== last) {
    setLast(job.result);
  }
  const count = (source: string): void => {
    rememberTokenizer(subject, source);
    void startJob("corpora.statistics", subject, {
      inputs: [info.path],
      tokenizer: source === "" ? null : source,
      detectLanguages: true,
      top: 200,
    });
  };
  const hasJob = job !== undefined;
  const isSmall = info.sizeBytes <= smallBytes;
  useEffect(() => {
    void useTokenizers.getState().load();
  }, []);
  useEffect(() => {
    if (!hasJob && isSmall) {
      void startJob("corpora.statistics", subject, { inputs: [info.path], top: 200 });
    }
  }, [hasJob, isSmall, subject, info.path]);
  const isRunning = job?.state === "running";
  return (
    <div className="statistics">
      <div className="corpus-section-head">
        <label className="statistics-tokenizer">
          <span className="field-label">tokens by</span>
          <select
            className="select small-select"
            value={tokenizer}
            disabled={isRunning}
            onChange={(event) => count(event.currentTarget.value)}
          >
            <option value="">no tokenizer</option>
            {(tokenizers ?? []).map((each) => (
              <option key={each.source} value={each.source}>
                {tokenizerLabel(each)}
              </option>
            ))}
          </select>
        </label>
        {isRunning || (hasJob && job.state === "done") ? null : (
          <Button onClick={() => count(tokenizer)}>Count this corpus</Button>
        )}
      </div>
      <JobProgress job={job} what={`counting ${info.name}`} onCancel={() => cancelJob("corpora.statistics", subject)} />
      {last === null ? (
        hasJob ? null : (
          <p className="muted">
            {isSmall ? "Counting…" : `${formatBytes(info.sizeBytes)} are read through once to count them.`}
          </p>
        )
      ) : (
        <Figures statistics={last} isOld={job?.state !== "done"} />
      )}
    </div>
  );
}

function Figures({ statistics, isOld }: { readonly statistics: CorpusStatisticsInfo; readonly isOld: boolean }) {
  const [measure, setMeasure] = useState<Measure>("documents");
  const hasTokens = statistics.tokens !== null;
  const own = measure === "tokens" && !hasTokens ? "documents" : measure;
  const choices = (["documents", "words", ...(hasTokens ? ["tokens" as const] : [])] as const).map((value) => ({
    value,
    label: value,
  }));
  const { wordsPerDocument } = statistics;
  const headlines: readonly (readonly [readonly [string, string], string])[] = [
    [[formatCount(statistics.documents), ""], "documents"],
    [formatLarge(statistics.words), `words, ${formatCount(wordsPerDocument.mean)} a document`],
    ...(statistics.tokens === null
      ? []
      : [
          [
            formatLarge(statistics.tokens),
            `tokens, ${(statistics.tokens / Math.max(1, statistics.words)).toFixed(2)} a word`,
          ] as const,
        ]),
    [formatLarge(statistics.characters), "characters"],
    [splitBytes(statistics.textBytes), "of text in UTF-8"],
    [
      [`${formatCount(wordsPerDocument.least)}–${formatCount(wordsPerDocument.most)}`, "words"],
      "in the shortest and longest",
    ],
  ];
  const groups = groupTitles.filter(({ key }) => isSaid(statistics.groups[key]));
  return (
    <div className={isOld ? "statistics-figures is-loading" : "statistics-figures"}>
      <dl className="headlines">
        {headlines.map(([[value, unit], label]) => (
          <div key={label} className="headline">
            <dt className="headline-label">{label}</dt>
            <dd className="headline-value">
              {value}
              {unit === "" ? null : <span className="unit"> {unit}</span>}
            </dd>
          </div>
        ))}
      </dl>
      <div className="corpus-section-head">
        <Segmented label="What the bars count" choices={choices} value={own} onChange={setMeasure} />
      </div>
      {groups.length === 0 ? (
        <p className="muted">The documents say neither year nor journal, language, section or subject.</p>
      ) : (
        <div className="statistics-groups">
          {groups.map(({ key, title }) => (
            <GroupTable
              key={key}
              title={title}
              rows={key === "year" ? chronological(statistics.groups.year) : statistics.groups[key]}
              measure={own}
              total={statistics[own] ?? 0}
              isYears={key === "year"}
            />
          ))}
        </div>
      )}
    </div>
  );
}

function splitBytes(bytes: number): readonly [string, string] {
  const [value = "", unit = ""] = formatBytes(bytes).split("\u2009");
  return [value, unit];
}

function GroupTable({
  title,
  rows,
  measure,
  total,
  isYears,
}: {
  readonly title: string;
  readonly rows: readonly Amount[];
  readonly measure: Measure;
  readonly total: number;
  readonly isYears: boolean;
}) {
  const [isAll, setAll] = useState(false);
  const amount = (row: Amount): number => row[measure] ?? 0;
  const said = rows.filter((row) => row.name !== NOT_SAID);
  const notSaid = rows.filter((row) => row.name === NOT_SAID);
  const ordered = isYears ? said : said.toSorted((a, b) => amount(b) - amount(a));
  const sorted = [...ordered, ...notSaid];
  const most = Math.max(1, ...said.map(amount));
  // What is not said is told last, whether or not all rows are shown.
  const shown = isAll ? sorted : [...ordered.slice(0, shownRows), ...notSaid];
  const share = (value: number): string => {
    const percent = (100 * value) / Math.max(1, total);
    if (value > 0 && percent < 0.05) {
      return "< 0.1";
    }
    return percent >= 9.95 ? percent.toFixed(0) : percent.toFixed(1);
  };
  return (
    <section className="statistics-group" aria-label={title}>
      <table className="table bar-table">
        <caption>
          <span>{title}</span>
          <CopyButton
            className="small quiet"
            text={() =>
              tableText(
                [title, "documents", "words", "tokens"],
                sorted.map((row) => [row.name, row.documents, row.words, row.tokens]),
              )
            }
          >
            Copy
          </CopyButton>
        </caption>
        <colgroup>
          <col className="bar-column-name" />
          <col />
          <col className="bar-column-number" />
          <col className="bar-column-share" />
        </colgroup>
        <thead className="sr-only">
          <tr>
            <th scope="col">{title}</th>
            <th scope="col">as a bar</th>
            <th scope="col">{measure}</th>
            <th scope="col">per cent</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={row.name}>
              <td
                className={row.name === NOT_SAID ? "bar-name muted" : "bar-name"}
                title={row.name === NOT_SAID ? "" : row.name}
              >
                {row.name === NOT_SAID ? "not said" : row.name}
              </td>
              <td className="bar-cell" aria-hidden="true">
                {row.name === NOT_SAID ? null : <span style={{ width: `${(100 * amount(row)) / most}%` }} />}
              </td>
              <td className="number">{formatCount(amount(row))}</td>
              <td className="number bar-share">
                {share(amount(row))}
                <span className="unit"> %</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {ordered.length > shownRows ? (
        <button type="button" className="text-button bar-more" aria-expanded={isAll} onClick={() => setAll(!isAll)}>
          {isAll ? "Fewer" : `All ${formatCount(ordered.length)}`}
        </button>
      ) : null}
    </section>
  );
}
