// Beside the chosen word: what else might have stood there and how likely it was. Choosing one puts it in the word's place
// and writes on from there.
import { useLayoutEffect, useRef, useState } from "react";
import { usePlayground } from "./store.ts";
import { visible } from "./surprise.ts";

const WIDTH_PX = 268;

/** Where the chosen word stands, within the text it is laid over. */
function usePlace(selected: number | null) {
  const ref = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ readonly left: number; readonly top: number } | null>(null);
  useLayoutEffect(() => {
    const word = selected === null ? null : document.getElementById(`flow-word-${selected}`);
    const host = ref.current?.parentElement;
    if (word === null || host === null || host === undefined) {
      setPlace(null);
      return;
    }
    const [box] = word.getClientRects();
    const around = host.getBoundingClientRect();
    if (box !== undefined) {
      const left = Math.max(0, Math.min(box.left - around.left, around.width - WIDTH_PX));
      setPlace({ left, top: box.bottom - around.top + 4 });
    }
  }, [selected]);
  return { ref, place };
}

export function WordAlternatives() {
  const selected = usePlayground((state) => state.selectedWord);
  const word = usePlayground((state) =>
    state.selectedWord === null ? null : (state.continuation.words[state.selectedWord] ?? null),
  );
  // Words move with the prompt before them; what was written for another prompt is not branched from.
  const isStale = usePlayground((state) => state.continuationOf !== state.prompt);
  const isBusy = usePlayground(
    (state) => state.generation.state === "waiting" || state.generation.state === "streaming",
  );
  const branchWith = usePlayground((state) => state.branchWith);
  const selectWord = usePlayground((state) => state.selectWord);
  const { ref, place } = usePlace(selected);
  const alternatives = word?.alternatives ?? [];
  const isShown = word !== null && alternatives.length > 0 && !isStale;
  const most = Math.exp(alternatives[0]?.logprob ?? 0);
  return (
    <div
      ref={ref}
      className={isShown ? "alternatives" : "alternatives is-hidden"}
      style={place === null ? { visibility: "hidden" } : { left: place.left, top: place.top }}
      role="group"
      aria-label={word === null ? "Alternatives" : `In the place of ${visible(word.text)}`}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          selectWord(null);
        }
      }}
    >
      {isShown ? (
        <>
          <ul>
            {alternatives.map(({ id, text, logprob }) => {
              const share = Math.exp(logprob);
              const isChosen = word.ids.length === 1 && word.ids[0] === id;
              return (
                <li key={id}>
                  <button
                    type="button"
                    className={isChosen ? "alternative is-chosen" : "alternative"}
                    disabled={isBusy}
                    aria-label={`${visible(text)}, ${(100 * share).toFixed(1)} percent${isChosen ? ", the one that was written" : ""}`}
                    onClick={() => void branchWith(text)}
                  >
                    <span className="alternative-text">{visible(text)}</span>
                    <span className="alternative-bar" aria-hidden="true">
                      <span style={{ width: `${(100 * share) / most}%` }} />
                    </span>
                    <span className="alternative-share">{(100 * share).toFixed(1)} %</span>
                  </button>
                </li>
              );
            })}
          </ul>
          <p>One of them instead, and on from there.</p>
        </>
      ) : null}
    </div>
  );
}
