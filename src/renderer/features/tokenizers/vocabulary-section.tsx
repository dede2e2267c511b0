// A tokenizer's vocabulary: searched, and laid over another one's.
import { formatCount } from "../../lib/format.ts";
import { SHOWN_ENTRIES, useLaboratory } from "./laboratory-store.ts";
import { spacesShown } from "./piece-facts.ts";
import { type TokenizerInfo, useTokenizers } from "./store.ts";
import { tokenizerLabel } from "./tokenizer-label.ts";

export function VocabularySection({ tokenizer }: { readonly tokenizer: TokenizerInfo }) {
  const search = useLaboratory((state) => state.search);
  const { value, error } = useLaboratory((state) => state.found);
  const searchVocabulary = useLaboratory((state) => state.searchVocabulary);
  return (
    <section className="lab-section" aria-labelledby="vocabulary-title">
      <div className="lab-section-head">
        <h2 id="vocabulary-title">Vocabulary</h2>
        <input
          className="input vocabulary-search"
          aria-label="Search the vocabulary"
          placeholder="text, or /regular expression/"
          value={search}
          maxLength={200}
          spellCheck={false}
          onChange={(event) => void searchVocabulary(tokenizer.source, event.currentTarget.value)}
        />
        <Against tokenizer={tokenizer} />
      </div>
      {error === null ? null : <p className="bad">{error}</p>}
      {value === null || search === "" ? null : (
        <>
          <p className="muted" role="status">
            {formatCount(value.total)} of {formatCount(tokenizer.vocabSize)} pieces
            {value.total > SHOWN_ENTRIES ? `, the first ${SHOWN_ENTRIES} below` : ""}
          </p>
          <Entries entries={value.entries} label="Pieces found" />
        </>
      )}
      <OverlapFigures tokenizer={tokenizer} />
    </section>
  );
}

function Entries({
  entries,
  label,
}: {
  readonly entries: readonly { readonly id: number; readonly piece: string }[];
  readonly label: string;
}) {
  return (
    <ul className="vocabulary-entries" aria-label={label}>
      {entries.map(({ id, piece }) => (
        <li key={id}>
          <code>{spacesShown(piece)}</code>
          <span className="muted">{id}</span>
        </li>
      ))}
    </ul>
  );
}

function Against({ tokenizer }: { readonly tokenizer: TokenizerInfo }) {
  const list = useTokenizers((state) => state.list);
  const against = useLaboratory((state) => state.against);
  const layOver = useLaboratory((state) => state.layOver);
  return (
    <label className="check vocabulary-against">
      <span className="muted">beside</span>
      <select
        className="select"
        value={against ?? ""}
        onChange={(event) => {
          const { value } = event.currentTarget;
          void layOver(tokenizer.source, value === "" ? null : value);
        }}
      >
        <option value="">no other</option>
        {(list ?? [])
          .filter((info) => info.source !== tokenizer.source)
          .map((info) => (
            <option key={info.source} value={info.source}>
              {tokenizerLabel(info)}
            </option>
          ))}
      </select>
    </label>
  );
}

function OverlapFigures({ tokenizer }: { readonly tokenizer: TokenizerInfo }) {
  const list = useTokenizers((state) => state.list);
  const against = useLaboratory((state) => state.against);
  const { value, error } = useLaboratory((state) => state.overlap);
  if (against === null) {
    return null;
  }
  if (value === null) {
    return error === null ? <p className="muted">Laying one over the other…</p> : <p className="bad">{error}</p>;
  }
  const other = list?.find((info) => info.source === against);
  const names = [tokenizerLabel(tokenizer), other === undefined ? against : tokenizerLabel(other)] as const;
  const [one, two] = value.sizes;
  return (
    <div className="overlap" data-testid="overlap">
      <p>
        {formatCount(value.shared)} pieces in both: {((100 * value.shared) / one).toFixed(1)} % of {names[0]}’s,{" "}
        {((100 * value.shared) / two).toFixed(1)} % of {names[1]}’s.{" "}
        <span className="muted">The space that begins a word is left out of account.</span>
      </p>
      <div className="overlap-columns">
        <div>
          <h3 className="field-label">longest that only {names[0]} has</h3>
          <Entries entries={value.onlyFirst} label={`Only ${names[0]}`} />
        </div>
        <div>
          <h3 className="field-label">longest that only {names[1]} has</h3>
          <Entries entries={value.onlySecond} label={`Only ${names[1]}`} />
        </div>
      </div>
    </div>
  );
}
