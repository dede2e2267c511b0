// Do evaluation sets stand in the corpus? Choosing them, the look through, and the items that overlap, with the stretch that
// is the same marked where it stands in the item and in the document.
import { useState } from "react";
import type { CorpusInfo, ScanReportInfo } from "#shared/ipc/corpora.contract";
import { formatCount } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { type ScanForm, setForm, useForms } from "./forms.ts";
import { JobProgress } from "./job-progress.tsx";
import { cancelJob, useJob } from "./jobs.ts";
import { Pager } from "./pager.tsx";
import { PathsField } from "./paths-field.tsx";
import { TextField } from "./text-field.tsx";

type Found = ScanReportInfo["found"][number];

const set = (part: Partial<ScanForm>): void => setForm("scan", part);

export function ScanPage({ info }: { readonly info: CorpusInfo }) {
  const form = useForms((state) => state.scan);
  const job = useJob("corpora.scan", info.path);
  return (
    <div className="page scan-page">
      <div className="form">
        <h1>Scan evaluation sets</h1>
        <p className="form-lead">
          Every run of {form.runWords} words of every item is looked up in {info.name}. What a model has read it may
          remember: an item that stands in the corpus says nothing about the model.
        </p>
        <JobProgress job={job} what={`scanning ${info.name}`} onCancel={() => cancelJob("corpora.scan", info.path)} />
        <fieldset className="form-fields" disabled={job?.state === "running"}>
          <legend className="sr-only">What to look for</legend>
          <PathsField
            label="Evaluation sets"
            help="Anything that can be imported; JSONL is usual."
            paths={form.evaluation}
            onChange={(evaluation) => set({ evaluation })}
          />
          <div className="field-pair">
            <TextField
              label="Text fields of an item"
              help="Apart by commas, such as question, context."
              value={form.textFields}
              onChange={(textFields) => set({ textFields })}
            />
            <TextField
              label="Id field"
              help="Empty: id, else the place in the file."
              value={form.idField}
              onChange={(idField) => set({ idField })}
            />
            <TextField
              label="Words a run"
              help="13 is usual; fewer find more by chance."
              isNumber
              value={form.runWords}
              onChange={(runWords) => set({ runWords })}
            />
            <TextField
              label="Words an item at least"
              help="Shorter items are not looked for."
              isNumber
              value={form.leastWords}
              onChange={(leastWords) => set({ leastWords })}
            />
          </div>
        </fieldset>
      </div>
      {job?.state === "done" ? <Report report={job.result} corpus={info.name} /> : null}
    </div>
  );
}

const pageSize = 25;

function Report({ report, corpus }: { readonly report: ScanReportInfo; readonly corpus: string }) {
  const [from, setFrom] = useState(0);
  const headlines: readonly (readonly [number, string])[] = [
    [report.items, `items looked for${report.tooShort === 0 ? "" : `, ${formatCount(report.tooShort)} too short`}`],
    [report.anyOverlap, "with any overlap"],
    [report.halfOverlap, "of which at least half overlaps"],
    [report.mostOverlap, "of which at least 80 % overlaps"],
  ];
  const shown = report.found.slice(from, from + pageSize);
  return (
    <section className="scan-report" aria-labelledby="scan-report-title">
      <div className="corpus-section-head">
        <h2 id="scan-report-title">
          Overlap{" "}
          <span className="muted">
            with {formatCount(report.documents)} documents of {corpus}, runs of {report.runWords} words
          </span>
        </h2>
        {report.found.length === 0 ? null : (
          <CopyButton
            className="small"
            text={() =>
              tableText(
                ["item", "file", "words", "runs", "found", "overlap", "documents"],
                report.found.map((each) => [
                  each.item,
                  each.source,
                  each.words,
                  each.runs,
                  each.found,
                  each.overlap,
                  each.documents,
                ]),
              )
            }
          >
            Copy table
          </CopyButton>
        )}
      </div>
      <dl className="headlines">
        {headlines.map(([value, label]) => (
          <div key={label} className="headline">
            <dt className="headline-label">{label}</dt>
            <dd className="headline-value">{formatCount(value)}</dd>
          </div>
        ))}
      </dl>
      {report.found.length === 0 ? (
        <p className="ok">No item has a run of {report.runWords} words in the corpus.</p>
      ) : (
        <>
          <ol className="scan-items" start={from + 1} aria-label="Items that overlap">
            {shown.map((item) => (
              <Item key={`${item.source} ${item.item}`} item={item} />
            ))}
          </ol>
          <Pager
            from={from}
            to={from + shown.length}
            total={report.found.length}
            pageSize={pageSize}
            what="items"
            onFrom={setFrom}
          />
        </>
      )}
    </section>
  );
}

/** More words than a few lines hold. */
const longWords = 60;
/** What stands around a match is cut to this on its way here: then it begins and ends with a whole word. */
const contextCharacters = 200;

function leadIn(text: string): string {
  return text.length < contextCharacters ? text : `… ${text.slice(text.search(/\s/u) + 1)}`;
}

function leadOut(text: string): string {
  return text.length < contextCharacters ? text : `${text.slice(0, Math.max(0, text.search(/\s\S*$/u)))} …`;
}

function Item({ item }: { readonly item: Found }) {
  const [at, setAt] = useState(0);
  const [isOpen, setOpen] = useState(false);
  const match = item.matches[at] ?? item.matches[0];
  const percent = 100 * item.overlap;
  const isLong = match !== undefined && match.words > longWords;
  const text = isLong && !isOpen ? "document-text is-cut" : "document-text";
  return (
    <li className="scan-item">
      <p className="document-head">
        <span
          className={
            percent >= 80 ? "mono bad scan-overlap" : percent >= 50 ? "mono warn scan-overlap" : "mono scan-overlap"
          }
        >
          {percent >= 99.95 ? "100" : percent.toFixed(1)} %
        </span>
        <span className="mono">{item.item}</span>
        <span className="muted">
          {formatCount(item.found)} of {formatCount(item.runs)} runs, in {formatCount(item.documents)}{" "}
          {item.documents === 1 ? "document" : "documents"}
        </span>
        <span className="muted">{item.source}</span>
        {isLong ? (
          <button
            type="button"
            className="text-button document-more"
            aria-expanded={isOpen}
            aria-label={`${isOpen ? "Less" : "More"} of ${item.item}`}
            onClick={() => setOpen(!isOpen)}
          >
            {isOpen ? "Less" : "More"}
          </button>
        ) : null}
      </p>
      {match === undefined ? null : (
        <div className="scan-match">
          <div>
            <p className="field-label">the item</p>
            <p className={text}>
              {leadIn(match.before)}
              <mark>{match.itemText}</mark>
              {leadOut(match.after)}
            </p>
          </div>
          <div>
            <p className="field-label">
              {item.matches.length < 2 ? (
                <span className="mono">{match.document}</span>
              ) : (
                <select
                  className="select small-select"
                  aria-label={`Document beside ${item.item}`}
                  value={at}
                  onChange={(event) => setAt(Number(event.currentTarget.value))}
                >
                  {item.matches.map((each, index) => (
                    <option key={each.document} value={index}>
                      {each.document}
                    </option>
                  ))}
                </select>
              )}{" "}
              {formatCount(match.words)} words in a row
            </p>
            <p className={text}>
              {leadIn(match.documentBefore)}
              <mark>{match.text}</mark>
              {leadOut(match.documentAfter)}
            </p>
          </div>
        </div>
      )}
    </li>
  );
}
