// What a comparison counted: texts, entities beside the published figures, and each term cut up by every tokenizer.
import { useState } from "react";
import type { Comparison } from "#shared/ipc/tokenizers.contract";
import { formatBytes, formatCount } from "../../lib/format.ts";
import { Segmented } from "../../ui/segmented.tsx";
import { shortPath } from "./laboratory-form.ts";
import { Pieces } from "./pieces.tsx";

export function ComparisonResults({ comparison }: { readonly comparison: Comparison }) {
  return (
    <>
      {comparison.corpus === null ? null : <TextTable corpus={comparison.corpus} />}
      {comparison.entities === null ? null : <EntityTables entities={comparison.entities} />}
      {comparison.terms === null ? null : <TermTable comparison={comparison} terms={comparison.terms} />}
    </>
  );
}

function TextTable({ corpus }: { readonly corpus: NonNullable<Comparison["corpus"]> }) {
  const fewest = Math.min(...corpus.rows.map((row) => row.tokens));
  return (
    <section className="lab-section" aria-labelledby="compare-texts">
      <h2 id="compare-texts">
        Texts{" "}
        <span className="muted">
          {formatCount(corpus.documents)} documents, {formatCount(corpus.words)} words, {formatBytes(corpus.bytes)}
        </span>
      </h2>
      <table className="table">
        <thead>
          <tr>
            <th>tokenizer</th>
            <th className="number">tokens</th>
            <th className="number">over the fewest</th>
            <th className="number">bytes a token</th>
            <th className="number">tokens a word</th>
            <th className="number">words kept whole</th>
          </tr>
        </thead>
        <tbody>
          {corpus.rows.map((row) => (
            <tr key={row.tokenizer}>
              <td>{row.tokenizer}</td>
              <td className="number">{formatCount(row.tokens)}</td>
              <td className="number">
                {row.tokens === fewest ? "–" : `+${(100 * (row.tokens / fewest - 1)).toFixed(1)} %`}
              </td>
              <td className="number">{row.bytesPerToken.toFixed(3)}</td>
              <td className="number">{row.fertility.toFixed(3)}</td>
              <td className="number">{(100 * row.wholeWords).toFixed(1)} %</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function EntityTables({ entities }: { readonly entities: NonNullable<Comparison["entities"]> }) {
  const highest = Math.max(
    ...entities.flatMap((set) => [...set.rows, ...set.published].map(({ breakRate }) => breakRate)),
  );
  return (
    <section className="lab-section" aria-labelledby="compare-entities">
      <h2 id="compare-entities">
        Entity break rate{" "}
        <span className="muted">tokens of the entities over their words; 1 keeps every word whole</span>
      </h2>
      <div className="break-rates">
        {entities.map((set) => (
          <div key={set.file}>
            <table className="table break-rate">
              <caption title={set.file}>
                {shortPath(set.file)}{" "}
                <span className="muted">
                  {formatCount(set.mentions)} entities, {formatCount(set.words)} words
                  {set.inCorpus === null ? "" : `, ${(100 * set.inCorpus.words).toFixed(1)} % of them in the texts`}
                </span>
              </caption>
              <thead className="sr-only">
                <tr>
                  <th>tokenizer</th>
                  <th>rate</th>
                  <th>as a bar</th>
                </tr>
              </thead>
              <tbody>
                {set.rows.map((row) => (
                  <RateRow
                    key={row.tokenizer}
                    name={row.tokenizer}
                    rate={row.breakRate}
                    highest={highest}
                    details={rateDetails(row)}
                    isPublished={false}
                  />
                ))}
                {set.published.map((row) => (
                  <RateRow
                    key={`published ${row.tokenizer}`}
                    name={row.tokenizer}
                    rate={row.breakRate}
                    highest={highest}
                    details={row.source}
                    isPublished={true}
                  />
                ))}
              </tbody>
            </table>
            {set.published.length === 0 ? null : (
              <p className="muted rate-source">
                grey: published by {[...new Set(set.published.map((row) => row.source))].join("; ")}
              </p>
            )}
          </div>
        ))}
      </div>
    </section>
  );
}

function rateDetails(row: NonNullable<Comparison["entities"]>[number]["rows"][number]): string {
  const unknown = row.unknownWords === 0 ? "" : `, ${formatCount(row.unknownWords)} unknown`;
  return `${formatCount(row.tokens)} tokens; each name once ${row.nameBreakRate.toFixed(3)}; ${(100 * row.wholeWords).toFixed(1)} % of the words whole${unknown}`;
}

function RateRow({
  name,
  rate,
  highest,
  details,
  isPublished,
}: {
  readonly name: string;
  readonly rate: number;
  readonly highest: number;
  /** Told where the row is pointed at. */
  readonly details: string;
  readonly isPublished: boolean;
}) {
  return (
    <tr title={details}>
      <td>
        <span className={isPublished ? "muted" : ""}>{name}</span>
      </td>
      <td className="number">{rate.toFixed(3)}</td>
      <td className="rate-cell" aria-hidden="true">
        <span
          className={isPublished ? "rate-bar is-published" : "rate-bar"}
          style={{ width: `${(100 * (rate - 1)) / Math.max(highest - 1, 0.001)}%` }}
        />
      </td>
    </tr>
  );
}

const orders = [
  { value: "given", label: "as given" },
  { value: "split", label: "most split first" },
] as const;

/** More rows than this make the view slow; the command line prints all. */
const SHOWN_TERMS = 500;

function TermTable({
  comparison,
  terms,
}: {
  readonly comparison: Comparison;
  readonly terms: NonNullable<Comparison["terms"]>;
}) {
  const [order, setOrder] = useState<(typeof orders)[number]["value"]>("given");
  const hasCount = comparison.corpus !== null;
  const hasMentions = terms.some((row) => row.mentions !== null);
  const sorted =
    order === "given" ? terms : terms.toSorted((a, b) => (b.pieces[0]?.length ?? 0) - (a.pieces[0]?.length ?? 0));
  return (
    <section className="lab-section" aria-labelledby="compare-term-table">
      <div className="lab-section-head">
        <h2 id="compare-term-table">
          Terms{" "}
          <span className="muted">
            {comparison.tokenizers
              .map((name, index) => {
                const whole = terms.filter((row) => row.pieces[index]?.length === 1).length;
                return `${name} keeps ${formatCount(whole)} of ${formatCount(terms.length)} whole`;
              })
              .join(", ")}
          </span>
        </h2>
        <Segmented label="Order of the terms" choices={orders} value={order} onChange={setOrder} />
      </div>
      <div className="term-table">
        <table className="table">
          <thead>
            <tr>
              <th>term</th>
              {hasMentions ? <th className="number">entities</th> : null}
              {hasCount ? <th className="number">in the texts</th> : null}
              {comparison.tokenizers.map((name) => (
                <th key={name} className="term-pieces">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, SHOWN_TERMS).map((row) => (
              <tr key={row.term}>
                <td>{row.term.trim()}</td>
                {hasMentions ? (
                  <td className="number">{row.mentions === null ? "" : formatCount(row.mentions)}</td>
                ) : null}
                {hasCount ? (
                  <td className="number">{row.count === 0 ? "absent" : formatCount(row.count ?? 0)}</td>
                ) : null}
                {row.pieces.map((pieces, index) => (
                  <td key={comparison.tokenizers[index]} className="term-pieces">
                    <Pieces pieces={pieces} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {terms.length > SHOWN_TERMS ? (
        <p className="muted">
          The first {formatCount(SHOWN_TERMS)} of {formatCount(terms.length)}; assay tokenizer compare prints all.
        </p>
      ) : null}
    </section>
  );
}
