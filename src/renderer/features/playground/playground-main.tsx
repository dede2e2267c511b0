// The Playground's middle: which model, the text, how surprising it was, and how fast it came.
import "../../ui/forms.css";
import "./playground.css";
import { useEffect } from "react";
import { go, type Route } from "../../app/router.ts";
import { client } from "../../lib/client.ts";
import { formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { EmptyState, ErrorState } from "../../ui/states.tsx";
import { generationFigures } from "./generation-figures.ts";
import { CheckpointSlider, RunChooser } from "./model-chooser.tsx";
import { PromptFlow } from "./prompt-flow.tsx";
import { SampleList } from "./sample-list.tsx";
import { chosenModel, usePlayground } from "./store.ts";
import { continuationText } from "./stream-text.ts";
import { SURPRISE_CEILING_BITS } from "./surprise.ts";

const RELOAD_DELAY_MS = 2000;

/** The route may name a checkpoint: `#/playground/<folder>`. */
export function PlaygroundMain({ route }: { readonly route: Route }) {
  const models = usePlayground((state) => state.models);
  const modelsError = usePlayground((state) => state.modelsError);
  const loadModels = usePlayground((state) => state.loadModels);
  const chooseCheckpoint = usePlayground((state) => state.chooseCheckpoint);
  const [wanted] = route.rest;

  useEffect(() => {
    if (wanted !== undefined) {
      chooseCheckpoint(wanted);
    }
    void loadModels();
    // A run in progress writes checkpoints and rotates old ones away; it changes twice a second, its checkpoints seldom.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reloadSoon = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        void loadModels();
      }, RELOAD_DELAY_MS);
    };
    const ends = [client.subscribe("runs.list-changed", reloadSoon), client.subscribe("runs.changed", reloadSoon)];
    return () => {
      clearTimeout(timer);
      for (const end of ends) {
        end();
      }
    };
  }, [wanted, loadModels, chooseCheckpoint]);

  if (models === null) {
    return modelsError === null ? (
      <p className="state-note">Looking for checkpoints…</p>
    ) : (
      <ErrorState
        title="The models could not be listed"
        message={modelsError}
        actions={<Button onClick={() => void loadModels()}>Try again</Button>}
      />
    );
  }
  if (models.length === 0) {
    return (
      <EmptyState
        title="No model to speak with yet"
        actions={
          <Button variant="primary" onClick={() => go("recipes")}>
            Choose a recipe to train
          </Button>
        }
      >
        <p>Here any checkpoint of any run continues a text. The first one appears when a run has saved it.</p>
      </EmptyState>
    );
  }
  return (
    <div className="page playground">
      <Head />
      <div className="playground-model">
        <RunChooser />
        <CheckpointSlider />
      </div>
      {modelsError === null ? null : <p className="bad">The list of models may be out of date: {modelsError}</p>}
      <Outcome />
      <PromptFlow />
      <Legend />
      <SampleList />
    </div>
  );
}

function Head() {
  const model = usePlayground(chosenModel);
  return (
    <div className="playground-head">
      <h1>Playground</h1>
      {model === null ? null : (
        <p className="muted">
          {model.step === null ? model.name : `checkpoint step ${formatCount(model.step)} of ${model.name}`}
        </p>
      )}
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
      <span
        className="legend-ramp"
        role="img"
        aria-label={`Tint from paper, surprise 0 bits, to accent, ${SURPRISE_CEILING_BITS} bits or more`}
      />
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
