// The heart of the view: a text above, and below it what each tokenizer makes of it, row under row on the same columns.
import { useDeferredValue, useMemo, useRef, useState } from "react";
import { formatCount } from "../../lib/format.ts";
import { spacesShown } from "./piece-facts.ts";
import { type ByteRange, PieceRows } from "./piece-rows.tsx";
import { type Inspection, REFERENCE_TOKENIZER, type TokenizerInfo, useTokenizers } from "./store.ts";
import { inspectedPart, TEXT_LIMIT, textFigures } from "./text-figures.ts";
import { tokenizerLabel } from "./tokenizer-label.ts";
import { useColumns } from "./use-columns.ts";
import { wrapText } from "./wrap-text.ts";

export function Inspector({ tokenizer }: { readonly tokenizer: TokenizerInfo }) {
  const text = useTokenizers((state) => state.text);
  const setText = useTokenizers((state) => state.setText);
  const isCompared = useTokenizers((state) => state.isCompared);
  const setCompared = useTokenizers((state) => state.setCompared);
  const hostRef = useRef<HTMLDivElement>(null);
  const columns = useColumns(hostRef);
  const { omitted } = inspectedPart(text);
  const isReference = tokenizer.source === REFERENCE_TOKENIZER;

  return (
    <div className="inspector" ref={hostRef}>
      <textarea
        aria-label="Text to cut into pieces"
        className="inspector-text"
        value={text}
        spellCheck={false}
        aria-describedby={omitted > 0 ? "tokenizer-text-limit" : undefined}
        placeholder="Type or paste a text to see its pieces"
        onChange={(event) => setText(event.currentTarget.value)}
      />
      {omitted > 0 ? (
        <p id="tokenizer-text-limit" className="inspector-limit">
          The first {formatCount(TEXT_LIMIT)} characters are shown below; {formatCount(omitted)} more are not. For whole
          files, use the command line: assay tokenizer compare.
        </p>
      ) : null}
      <Rows
        tokenizers={isCompared && !isReference ? [tokenizer.source, REFERENCE_TOKENIZER] : [tokenizer.source]}
        columns={columns}
      />
      {isReference ? null : (
        <label className="check">
          <input type="checkbox" checked={isCompared} onChange={(event) => setCompared(event.currentTarget.checked)} />{" "}
          beside GPT-2’s tokenizer
        </label>
      )}
    </div>
  );
}

function Rows({ tokenizers, columns }: { readonly tokenizers: readonly string[]; readonly columns: number }) {
  const inspections = useTokenizers((state) => state.inspections);
  const [hovered, setHovered] = useState<{ readonly tokenizer: string; readonly index: number } | null>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const piece = useTokenizers((state) => state.piece);
  const pointedAt = hovered ?? piece;
  const pointedPiece =
    pointedAt === null ? null : (inspections[pointedAt.tokenizer]?.result?.pieces[pointedAt.index] ?? null);

  // Rows stand on the columns of one text, so a row that is still of the text before waits for the others.
  const shownText =
    tokenizers.map((source) => inspections[source]?.result?.text).find((text) => text !== undefined) ?? "";
  const deferredText = useDeferredValue(shownText);
  const lines = useMemo(() => wrapText(deferredText, columns), [deferredText, columns]);

  return (
    <>
      {tokenizers.map((source) => (
        <TokenizerRow
          key={source}
          source={source}
          text={deferredText}
          lines={lines}
          markedBytes={
            pointedAt !== null && pointedPiece !== null && pointedAt.tokenizer !== source ? pointedPiece : null
          }
          onHover={(index) => setHovered(index === null ? null : { tokenizer: source, index })}
          scrollTop={scrollTop}
          onScroll={setScrollTop}
        />
      ))}
      <p className="readout" data-testid="piece-readout">
        {pointedPiece === null ? (
          <span className="readout-hint">Point at a piece, or go through them with the arrow keys.</span>
        ) : (
          <>
            <span className="readout-piece">{spacesShown(pointedPiece.piece)}</span> id {formatCount(pointedPiece.id)},
            bytes {formatCount(pointedPiece.start)}–{formatCount(pointedPiece.end)}
          </>
        )}
      </p>
    </>
  );
}

type TokenizerRowProps = {
  readonly source: string;
  readonly text: string;
  readonly lines: ReturnType<typeof wrapText>;
  readonly markedBytes: ByteRange | null;
  readonly onHover: (index: number | null) => void;
  readonly scrollTop: number;
  readonly onScroll: (scrollTop: number) => void;
};

function TokenizerRow({ source, text, lines, markedBytes, onHover, scrollTop, onScroll }: TokenizerRowProps) {
  const info = useTokenizers((state) => state.list?.find((known) => known.source === source));
  const name = info === undefined ? source : tokenizerLabel(info);
  const inspection = useTokenizers((state) => state.inspections[source]);
  const selectedIndex = useTokenizers((state) => (state.piece?.tokenizer === source ? state.piece.index : null));
  const selectPiece = useTokenizers((state) => state.selectPiece);
  const result = inspection?.result ?? null;

  return (
    <section className="tokenizer-row" aria-label={`Pieces by ${name}`}>
      <div className="tokenizer-row-head">
        <h2>{name}</h2>
        {result === null ? null : <RowFigures result={result} />}
      </div>
      {inspection?.error ? <p className="details-note bad">{inspection.error}</p> : null}
      {result === null ? (
        inspection?.error ? null : (
          <p className="details-note">Cutting the text…</p>
        )
      ) : result.text === text ? (
        <PieceRows
          name={name}
          text={text}
          pieces={result.pieces}
          lines={lines}
          selectedIndex={selectedIndex}
          markedBytes={markedBytes}
          onHover={onHover}
          onSelect={(index) => void selectPiece(index === null ? null : { tokenizer: source, index })}
          scrollTop={scrollTop}
          onScroll={onScroll}
        />
      ) : null}
    </section>
  );
}

function RowFigures({ result }: { readonly result: Inspection }) {
  const figures = useMemo(() => textFigures(result.text, result.pieces, result.textBytes), [result]);
  return (
    <p className="row-figures">
      <span>
        {formatCount(figures.pieceCount)} <span className="unit">pieces</span>
      </span>
      {figures.bytesPerPiece === null ? null : (
        <span>
          {figures.bytesPerPiece.toFixed(2)} <span className="unit">bytes/piece</span>
        </span>
      )}
      {figures.piecesPerWord === null ? null : (
        <span title="Pieces for each word or number of the text, punctuation counted in">
          {figures.piecesPerWord.toFixed(2)} <span className="unit">pieces/word</span>
        </span>
      )}
      {figures.wordCount === 0 ? null : (
        <span title="Words and numbers that are one piece, with or without the space before them">
          {formatCount(figures.wholeWords)}/{formatCount(figures.wordCount)} <span className="unit">words whole</span>
        </span>
      )}
    </p>
  );
}
