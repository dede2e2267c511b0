// The Playground's middle: which model, the text, how surprising it was, and how fast it came.
import { useEffect } from "react";
import { client } from "../../lib/client.ts";
import { Button } from "../../ui/button.tsx";
import { CheckpointSlider, RunChooser } from "./model-chooser.tsx";
import { PromptFlow } from "./prompt-flow.tsx";
import { generationFigures } from "./generation-figures.ts";
import { usePlayground } from "./store.ts";
import { continuationText } from "./stream-text.ts";
import { SURPRISE_CEILING_BITS } from "./surprise.ts";

export function PlaygroundMain({ onOpenRecipes }: { readonly onOpenRecipes: () => void }) {
  const models = usePlayground((state) => state.models);
  const modelsError = usePlayground((state) => state.modelsError);
  const loadModels = usePlayground((state) => state.loadModels);
  const writeOn = usePlayground((state) => state.writeOn);

  useEffect(() => {
    void loadModels();
    // A new checkpoint may have been written, or an old one rotated away.
    return client.subscribe("runs.list-changed", () => void loadModels());
  }, [loadModels]);

  if (models === null) {
    return modelsError === null ? (
      <p className="state-note">Looking for checkpoints…</p>
    ) : (
      <div className="state" role="alert">
        <h2>The models could not be listed</h2>
        <p>{modelsError}</p>
        <Button onClick={() => void loadModels()}>Try again</Button>
      </div>
    );
  }
  if (models.length === 0) {
    return (
      <div className="state">
        <h2>No model to speak with yet</h2>
        <p>Here a checkpoint of any run continues a text. The first one appears when a run has saved a checkpoint.</p>
        <Button variant="primary" onClick={onOpenRecipes}>
          Choose a recipe to train
        </Button>
      </div>
    );
  }
  return (
    <div className="playground">
      <div className="playground-model">
        <RunChooser />
        <CheckpointSlider />
      </div>
      {modelsError === null ? null : <p className="details-note bad">The list of models may be out of date: {modelsError}</p>}
      <Outcome />
      <PromptFlow onGenerate={() => void writeOn()} />
      <Legend />
    </div>
  );
}

function Outcome() {
  const generation = usePlayground((state) => state.generation);
  const writeAgain = usePlayground((state) => state.writeAgain);
  if (generation.state !== "failed") {
    return null;
  }
  return (
    <div className="banner banner-bad" role="alert">
      <p>{generation.message} The text is kept.</p>
      <Button onClick={() => void writeAgain()}>Try again</Button>
    </div>
  );
}

function Legend() {
  const generation = usePlayground((state) => state.generation);
  const continuation = usePlayground((state) => state.continuation);
  const isStale = usePlayground((state) => state.continuationOf !== null && state.continuationOf !== state.prompt);
  const figures = generationFigures(generation, continuation);
  const spoken = generation.state === "done" || generation.state === "stopped" ? continuationText(continuation) : "";
  return (
    <div className="legend">
      <span className="legend-end">expected</span>
      <span className="legend-ramp" role="img" aria-label={`Tint from paper, surprise 0 bits, to accent, ${SURPRISE_CEILING_BITS} bits or more`} />
      <span className="legend-end">surprising, {SURPRISE_CEILING_BITS} bits or more</span>
      {isStale ? <span className="legend-stale">written for the prompt before it was changed</span> : null}
      <span className="legend-figures" data-testid="generation-figures">
        {figures}
      </span>
      <span className="sr-only" role="status">
        {spoken}
      </span>
    </div>
  );
}
