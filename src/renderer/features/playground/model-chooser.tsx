// Which model speaks: a run and the step of it, or a model of no run, on a line of its checkpoints.
import { formatCount } from "../../lib/format.ts";
import { choiceLabel } from "./model-choices.ts";
import { usePlayground } from "./store.ts";

export function RunChooser() {
  const models = usePlayground((state) => state.models);
  const choiceKey = usePlayground((state) => state.choiceKey);
  const choose = usePlayground((state) => state.choose);
  return (
    <label className="run-chooser">
      <span className="field-label">Model</span>
      <select className="select" value={choiceKey ?? ""} onChange={(event) => choose(event.currentTarget.value)}>
        {(models ?? []).map((choice) => (
          <option key={choice.key} value={choice.key}>
            {choiceLabel(choice, models ?? [])}
          </option>
        ))}
      </select>
    </label>
  );
}

export function CheckpointSlider() {
  const checkpoints = usePlayground(
    (state) => state.models?.find((choice) => choice.key === state.choiceKey)?.checkpoints ?? null,
  );
  const source = usePlayground((state) => state.source);
  const chooseCheckpoint = usePlayground((state) => state.chooseCheckpoint);
  if (checkpoints === null || checkpoints.length === 0) {
    return null;
  }
  const index = Math.max(
    0,
    checkpoints.findIndex((checkpoint) => checkpoint.source === source),
  );
  const step = checkpoints[index]?.step ?? null;
  return (
    <div className="checkpoints">
      <label className="field-label" htmlFor="checkpoint-slider">
        Checkpoint
      </label>
      {checkpoints.length === 1 ? (
        <p className="checkpoint-only">
          {step === null ? "the model as it is" : `step ${formatCount(step)}, the only one kept`}
        </p>
      ) : (
        <div className="checkpoint-line">
          <input
            id="checkpoint-slider"
            type="range"
            min={0}
            max={checkpoints.length - 1}
            step={1}
            value={index}
            aria-valuetext={step === null ? undefined : `step ${step}`}
            onChange={(event) => {
              const chosen = checkpoints[Number(event.currentTarget.value)];
              if (chosen !== undefined) {
                chooseCheckpoint(chosen.source);
              }
            }}
          />
          <ol className="checkpoint-steps" aria-hidden="true">
            {checkpoints.map((checkpoint, place) => (
              <li
                key={checkpoint.source}
                className={place === index ? "checkpoint-step checkpoint-chosen" : "checkpoint-step"}
              >
                <span>step {formatCount(checkpoint.step ?? 0)}</span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </div>
  );
}
