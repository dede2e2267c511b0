// One tokenizer's row: the text cut into coloured pieces on a grid of columns. Only the lines in view are drawn, so a
// text at the limit scrolls as lightly as a sentence.
import { type CSSProperties, type KeyboardEvent, memo, useEffect, useId, useMemo, useRef, useState } from "react";
import type { Piece } from "#shared/ipc/tokenizers.contract";
import { bytePositions } from "./byte-positions.ts";
import { layoutRuns, pieceAtByte, type Run, visibleText } from "./piece-layout.ts";
import { neighbourPiece, type PieceMove } from "./piece-navigation.ts";
import type { TextLine } from "./wrap-text.ts";

const LINE_HEIGHT = 28;
const OVERSCAN_LINES = 8;

export type ByteRange = { readonly start: number; readonly end: number };

type PieceRowsProps = {
  readonly name: string;
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly lines: readonly TextLine[];
  readonly selectedIndex: number | null;
  /** Bytes pointed at in another row: the pieces that hold them are underlined here. */
  readonly markedBytes: ByteRange | null;
  readonly onHover: (index: number | null) => void;
  readonly onSelect: (index: number | null) => void;
  readonly scrollTop: number;
  readonly onScroll: (scrollTop: number) => void;
};

const keyMoves: Readonly<Record<string, PieceMove>> = {
  ArrowLeft: "previous",
  ArrowRight: "next",
  ArrowUp: "above",
  ArrowDown: "below",
  Home: "first",
  End: "last",
};

export function PieceRows(props: PieceRowsProps) {
  const { name, text, pieces, lines, selectedIndex, markedBytes, onHover, onSelect, scrollTop, onScroll } = props;
  const idPrefix = useId();
  const hostRef = useRef<HTMLDivElement>(null);
  const [viewHeight, setViewHeight] = useState(400);
  const rows = useMemo(() => layoutRuns(text, pieces, bytePositions(text), lines), [text, pieces, lines]);

  useEffect(() => {
    const host = hostRef.current;
    if (host === null) {
      return undefined;
    }
    const observer = new ResizeObserver(() => setViewHeight(host.clientHeight));
    observer.observe(host);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (hostRef.current !== null && Math.abs(hostRef.current.scrollTop - scrollTop) > 1) {
      hostRef.current.scrollTop = scrollTop;
    }
  }, [scrollTop]);

  const first = Math.max(0, Math.floor(scrollTop / LINE_HEIGHT) - OVERSCAN_LINES);
  const last = Math.min(rows.length, Math.ceil((scrollTop + viewHeight) / LINE_HEIGHT) + OVERSCAN_LINES);
  const marked = useMemo(() => {
    if (markedBytes === null || markedBytes.end <= markedBytes.start) {
      return null;
    }
    return { from: pieceAtByte(pieces, markedBytes.start), to: pieceAtByte(pieces, markedBytes.end - 1) };
  }, [markedBytes, pieces]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && selectedIndex !== null) {
      onSelect(null);
      event.preventDefault();
      return;
    }
    const move = keyMoves[event.key];
    if (move === undefined || pieces.length === 0 || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    event.preventDefault();
    const target = neighbourPiece(rows, pieces.length, selectedIndex, move);
    onSelect(target);
    const line = rows.findIndex((row) => row.some((run) => holds(run, target)));
    const host = hostRef.current;
    if (host !== null && line !== -1) {
      const top = line * LINE_HEIGHT;
      if (top < host.scrollTop) {
        host.scrollTop = top;
      } else if (top + LINE_HEIGHT > host.scrollTop + host.clientHeight) {
        host.scrollTop = top + LINE_HEIGHT - host.clientHeight;
      }
    }
  };

  const pieceOf = (target: EventTarget): number | null => {
    const value = (target as Element).closest("[data-piece]")?.getAttribute("data-piece");
    return value === null || value === undefined ? null : Number(value);
  };

  return (
    <div
      ref={hostRef}
      className="piece-rows"
      role="listbox"
      aria-label={`Pieces of ${name}`}
      aria-activedescendant={selectedIndex === null ? undefined : `${idPrefix}-${selectedIndex}`}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onScroll={(event) => onScroll(event.currentTarget.scrollTop)}
      onPointerOver={(event) => onHover(pieceOf(event.target))}
      onPointerLeave={() => onHover(null)}
      onClick={(event) => onSelect(pieceOf(event.target))}
    >
      <div role="presentation" style={{ height: rows.length * LINE_HEIGHT, position: "relative" }}>
        {rows.slice(first, last).map((row, index) => (
          <div
            key={first + index}
            role="presentation"
            className="piece-line"
            style={{ top: (first + index) * LINE_HEIGHT, height: LINE_HEIGHT }}
          >
            {row.map((run, runIndex) => (
              <RunView
                // A run's place in its line is what it is.
                key={runIndex}
                run={run}
                idPrefix={idPrefix}
                pieces={pieces}
                selected={selectedIndex !== null && holds(run, selectedIndex) ? selectedIndex : null}
                isMarked={marked !== null && touches(run, marked.from, marked.to)}
              />
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function holds(run: Run, index: number): boolean {
  return run.kind === "text" ? run.pieceIndex === index : run.parts.some((part) => part.pieceIndex === index);
}

function touches(run: Run, from: number, to: number): boolean {
  return run.kind === "text"
    ? run.pieceIndex >= from && run.pieceIndex <= to
    : run.parts.some((part) => part.pieceIndex >= from && part.pieceIndex <= to);
}

type RunViewProps = {
  readonly run: Run;
  readonly idPrefix: string;
  readonly pieces: readonly Piece[];
  readonly selected: number | null;
  readonly isMarked: boolean;
};

const RunView = memo(function RunView({ run, idPrefix, pieces, selected, isMarked }: RunViewProps) {
  if (run.kind === "text") {
    const edges = `${run.isFirst ? " piece-first" : ""}${run.isLast ? " piece-last" : ""}`;
    return (
      <span
        className={`piece piece-tint-${run.pieceIndex % 4}${edges}${isMarked ? " piece-marked" : ""}${selected === null ? "" : " piece-selected"}`}
        data-piece={run.pieceIndex}
        {...optionProps(idPrefix, pieces, run.pieceIndex, run.isFirst, selected === run.pieceIndex)}
      >
        {visibleText(run.text)}
      </span>
    );
  }
  return (
    <span role="presentation" className={`piece-shared${isMarked ? " piece-marked" : ""}`}>
      <span aria-hidden="true">{visibleText(run.character)}</span>
      <span role="presentation" className="piece-parts">
        {run.parts.map((part) => (
          <span
            key={part.pieceIndex}
            className={`piece-part piece-tint-${part.pieceIndex % 4}${selected === part.pieceIndex ? " piece-selected" : ""}`}
            style={{ flexGrow: part.byteCount } satisfies CSSProperties}
            data-piece={part.pieceIndex}
            {...optionProps(idPrefix, pieces, part.pieceIndex, part.isFirst, selected === part.pieceIndex)}
          />
        ))}
      </span>
    </span>
  );
});

/** The first run of a piece is its option; the others are only more of its paint. */
function optionProps(idPrefix: string, pieces: readonly Piece[], index: number, isFirst: boolean, isSelected: boolean) {
  const piece = pieces[index];
  if (!isFirst || piece === undefined) {
    return { "aria-hidden": true } as const;
  }
  return {
    id: `${idPrefix}-${index}`,
    role: "option",
    "aria-selected": isSelected,
    "aria-label": `${piece.piece}, id ${piece.id}`,
    "aria-setsize": pieces.length,
    "aria-posinset": index + 1,
  } as const;
}
