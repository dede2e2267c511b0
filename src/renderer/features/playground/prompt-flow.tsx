// Prompt and continuation in one text. The prompt is a plain text field, with its undo and input methods; the
// continuation is laid over it from where the prompt ends, both in the same type on the same lines. Words are tinted by
// how surprising they were to the model that wrote them.
import { type CSSProperties, type KeyboardEvent, memo, useEffect, useRef } from "react";
import { usePlayground } from "./store.ts";
import type { Word } from "./stream-text.ts";
import { formatChance, surpriseLevel, visible } from "./surprise.ts";
import { WordAlternatives } from "./word-alternatives.tsx";

export function PromptFlow() {
  const prompt = usePlayground((state) => state.prompt);
  const setPrompt = usePlayground((state) => state.setPrompt);
  const isBusy = usePlayground(
    (state) => state.generation.state === "waiting" || state.generation.state === "streaming",
  );
  const isWaiting = usePlayground((state) => state.generation.state === "waiting");
  const hasWords = usePlayground((state) => state.continuation.words.length > 0);
  const sheetRef = useRef<HTMLDivElement>(null);
  const wordCount = usePlayground((state) => state.continuation.words.length);

  // While it writes, the newest line stays in view, unless the reader has scrolled away from it.
  useEffect(() => {
    const sheet = sheetRef.current;
    if (sheet !== null && wordCount > 0 && isBusy && sheet.scrollHeight - sheet.scrollTop - sheet.clientHeight < 80) {
      sheet.scrollTop = sheet.scrollHeight;
    }
  }, [wordCount, isBusy]);

  return (
    <div className="flow-sheet" ref={sheetRef}>
      <div className="flow">
        <textarea
          className="flow-prompt"
          aria-label="Prompt"
          value={prompt}
          readOnly={isBusy}
          spellCheck={false}
          placeholder={hasWords ? "" : "Begin a text here; the model goes on from where it ends."}
          onChange={(event) => setPrompt(event.currentTarget.value)}
        />
        <div className="flow-over">
          <span className="flow-mirror" aria-hidden="true">
            {prompt}
          </span>
          <wbr />
          <Words />
          <WordAlternatives />
          {isWaiting ? <span className="flow-caret" aria-hidden="true" /> : null}
          {/* A last line that ends in a newline still needs its height. */}
          {"\u200b"}
        </div>
      </div>
    </div>
  );
}

function Words() {
  const words = usePlayground((state) => state.continuation.words);
  const isStale = usePlayground((state) => state.continuationOf !== null && state.continuationOf !== state.prompt);
  const selected = usePlayground((state) => state.selectedWord);
  const selectWord = usePlayground((state) => state.selectWord);
  if (words.length === 0) {
    return null;
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step =
      event.key === "ArrowRight" || event.key === "ArrowDown"
        ? 1
        : event.key === "ArrowLeft" || event.key === "ArrowUp"
          ? -1
          : 0;
    if (event.key === "Escape") {
      selectWord(null);
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      selectWord(event.key === "Home" ? 0 : words.length - 1);
    } else if (step !== 0) {
      event.preventDefault();
      selectWord(selected === null ? 0 : Math.min(words.length - 1, Math.max(0, selected + step)));
    }
  };
  return (
    <span
      className={isStale ? "flow-words flow-stale" : "flow-words"}
      role="listbox"
      aria-label="Continuation, word by word"
      aria-activedescendant={selected === null ? undefined : `flow-word-${selected}`}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onClick={(event) => {
        const index = (event.target as Element).closest("[data-word]")?.getAttribute("data-word");
        selectWord(index === null || index === undefined ? null : Number(index));
      }}
    >
      {words.map((word, index) => (
        <WordView key={word.index} word={word} index={index} isSelected={index === selected} />
      ))}
    </span>
  );
}

/** Under the pointer: how likely it was, and what was likelier. */
function hoverText(word: Word): string {
  const others = word.alternatives
    .slice(0, 3)
    .map(({ text, logprob }) => `${visible(text)} ${(100 * Math.exp(logprob)).toFixed(1)} %`);
  const own = `${formatChance(word.bits)}, log-probability ${(-word.bits * Math.LN2).toFixed(2)}`;
  return others.length === 0 ? own : `${own}\nlikeliest: ${others.join(", ")}`;
}

type WordViewProps = { readonly word: Word; readonly index: number; readonly isSelected: boolean };

const WordView = memo(function WordView({ word, index, isSelected }: WordViewProps) {
  return (
    <span
      id={`flow-word-${index}`}
      role="option"
      aria-selected={isSelected}
      title={hoverText(word)}
      aria-label={`${word.text.trim() === "" ? "white space" : word.text.trim()}, ${formatChance(word.bits)}`}
      className={isSelected ? "flow-word flow-word-selected" : "flow-word"}
      data-word={index}
      style={{ "--surprise": surpriseLevel(word.bits) } as CSSProperties}
    >
      {word.text}
    </span>
  );
});
