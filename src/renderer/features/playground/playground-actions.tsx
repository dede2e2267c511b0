// Top right: writing on, another continuation, and stopping. Ctrl or Cmd with Enter writes on from anywhere in the view.
import { useEffect } from "react";
import { modifierKey } from "../../lib/keys.ts";
import { Button } from "../../ui/button.tsx";
import { parseSampling } from "./sampling-form.ts";
import { usePlayground } from "./store.ts";

export function PlaygroundActions() {
  const source = usePlayground((state) => state.source);
  const sampling = usePlayground((state) => state.sampling);
  const hasWords = usePlayground((state) => state.continuation.words.length > 0);
  const isBusy = usePlayground(
    (state) => state.generation.state === "waiting" || state.generation.state === "streaming",
  );
  const writeOn = usePlayground((state) => state.writeOn);
  const writeAnother = usePlayground((state) => state.writeAnother);
  const stop = usePlayground((state) => state.stop);
  const clear = usePlayground((state) => state.clear);
  const parsed = parseSampling(sampling);
  const reason = "problem" in parsed ? parsed.problem : null;

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) {
        event.preventDefault();
        void writeOn();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [writeOn]);

  if (source === null) {
    return null;
  }
  return (
    <>
      <span id="continue-note" className="playground-actions-note">
        {reason}
      </span>
      {isBusy ? (
        <Button onClick={stop}>Stop</Button>
      ) : hasWords ? (
        <>
          <Button onClick={clear} title="Takes the continuation away and leaves the prompt">
            Clear
          </Button>
          <Button
            disabled={reason !== null}
            onClick={() => void writeAnother()}
            title="The same prompt with the next seed"
          >
            Another
          </Button>
        </>
      ) : null}
      <Button
        variant="primary"
        disabled={isBusy || reason !== null}
        aria-describedby="continue-note"
        onClick={() => void writeOn()}
      >
        Continue <kbd>{modifierKey}⏎</kbd>
      </Button>
    </>
  );
}
