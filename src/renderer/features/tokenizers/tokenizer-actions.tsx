// Top right: training a tokenizer. On the form itself the same button starts it.
import { useEffect } from "react";
import { go, type Route } from "../../app/router.ts";
import { modifierKey } from "../../lib/keys.ts";
import { Button } from "../../ui/button.tsx";
import { comparisonProblem } from "./laboratory-form.ts";
import { useLaboratory } from "./laboratory-store.ts";
import { useTokenizers } from "./store.ts";
import { formProblems } from "./training-form.ts";

export function TokenizerActions({ route }: { readonly route: Route }) {
  const [page] = route.rest;
  if (page === "train") {
    return <StartTraining />;
  }
  if (page === "compare") {
    return <StartComparing />;
  }
  return (
    <>
      <Button onClick={() => go("tokenizers", "compare")}>Compare…</Button>
      <Button variant="primary" onClick={() => go("tokenizers", "train")}>
        Train tokenizer…
      </Button>
    </>
  );
}

function StartComparing() {
  const problem = useLaboratory((state) => comparisonProblem(state.form));
  const isRunning = useLaboratory((state) => state.comparing.state === "running");
  const compare = useLaboratory((state) => state.compare);
  const canStart = problem === null && !isRunning;
  useStartKey(canStart, () => void compare());
  return (
    <>
      <span id="compare-note" className="actions-note">
        {isRunning ? "counting…" : problem}
      </span>
      <Button variant="primary" disabled={!canStart} aria-describedby="compare-note" onClick={() => void compare()}>
        Compare tokenizers <kbd>{modifierKey}⏎</kbd>
      </Button>
    </>
  );
}

/** The key that starts what the page is for. */
function useStartKey(canStart: boolean, start: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && canStart) {
        event.preventDefault();
        start();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [canStart, start]);
}

async function trainAndShow(): Promise<void> {
  const info = await useTokenizers.getState().train();
  // Whoever has gone elsewhere meanwhile is not called back.
  if (info !== null && window.location.hash === "#/tokenizers/train") {
    go("tokenizers", info.source);
  }
}

function StartTraining() {
  const form = useTokenizers((state) => state.form);
  const list = useTokenizers((state) => state.list);
  const isRunning = useTokenizers((state) => state.training.state === "running");
  const taken = new Set((list ?? []).filter((info) => info.origin === "workspace").map((info) => info.name));
  const [reason] = Object.values(formProblems(form, taken));
  const canStart = reason === undefined && !isRunning;
  useStartKey(canStart, () => void trainAndShow());
  return (
    <>
      <span id="train-tokenizer-note" className="actions-note">
        {isRunning ? "training…" : reason}
      </span>
      <Button
        variant="primary"
        disabled={!canStart}
        aria-describedby="train-tokenizer-note"
        onClick={() => void trainAndShow()}
      >
        Train tokenizer <kbd>{modifierKey}⏎</kbd>
      </Button>
    </>
  );
}
