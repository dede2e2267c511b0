// Sampling, the history of this session's prompts, and the notice: the right-hand column.
import { Button } from "../../ui/button.tsx";
import { Facts, Section } from "../../ui/facts.tsx";
import { fieldProblem, samplingFields, weightTypes } from "./sampling-form.ts";
import { usePlayground } from "./store.ts";
import { formatChance } from "./surprise.ts";

export function SamplingPanel() {
  return (
    <>
      <WordDetails />
      <SamplingForm />
      <History />
      <Section title="Notice">
        <p className="details-note">For research. Not medical advice.</p>
      </Section>
    </>
  );
}

function SamplingForm() {
  const sampling = usePlayground((state) => state.sampling);
  const setSampling = usePlayground((state) => state.setSampling);
  return (
    <Section title="Sampling">
      {samplingFields.map((field) => {
        const problem = fieldProblem(field, sampling[field.key]);
        const id = `sampling-${field.key}`;
        return (
          <div key={field.key} className="sampling-row" title={field.help}>
            <label htmlFor={id}>{field.label}</label>
            <input
              id={id}
              className="sampling-input"
              value={sampling[field.key]}
              inputMode={field.isWhole ? "numeric" : "decimal"}
              aria-invalid={problem !== null}
              aria-describedby={problem === null ? undefined : `${id}-problem`}
              onChange={(event) => setSampling({ [field.key]: event.currentTarget.value })}
              onKeyDown={(event) => {
                const step = event.key === "ArrowUp" ? field.step : event.key === "ArrowDown" ? -field.step : 0;
                const value = Number(sampling[field.key]);
                if (step !== 0 && Number.isFinite(value)) {
                  event.preventDefault();
                  const next = Math.min(field.max, Math.max(field.min, value + step));
                  setSampling({ [field.key]: String(Number(next.toFixed(6))) });
                }
              }}
            />
            {problem === null ? null : (
              <p id={`${id}-problem`} className="field-help bad">
                {problem}
              </p>
            )}
          </div>
        );
      })}
      <div
        className="sampling-row"
        title="How the model’s matrices are kept: bf16 takes half the memory, int8 a quarter"
      >
        <label htmlFor="sampling-weights">weights</label>
        <select
          id="sampling-weights"
          className="sampling-select"
          value={sampling.weights}
          onChange={(event) =>
            setSampling({ weights: weightTypes.find((each) => each === event.currentTarget.value) ?? "fp32" })
          }
        >
          {weightTypes.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </div>
      <div className="sampling-row">
        <label htmlFor="sampling-stop">stop at end of text</label>
        <input
          id="sampling-stop"
          type="checkbox"
          checked={sampling.stopAtEndOfText}
          onChange={(event) => setSampling({ stopAtEndOfText: event.currentTarget.checked })}
        />
      </div>
    </Section>
  );
}

/** The chosen word: how likely it was, and going on from before it. */
function WordDetails() {
  const word = usePlayground((state) =>
    state.selectedWord === null ? null : (state.continuation.words[state.selectedWord] ?? null),
  );
  const branch = usePlayground((state) => state.branchHere);
  const isBusy = usePlayground(
    (state) => state.generation.state === "waiting" || state.generation.state === "streaming",
  );
  if (word === null) {
    return null;
  }
  return (
    <Section title={word.ids.length === 1 ? "Token" : "Tokens of one character"}>
      <p className="word-name">{word.text.replaceAll(" ", "␣").replaceAll("\n", "↵")}</p>
      <Facts
        rows={[
          ["id", word.ids.join(", ")],
          ["log-probability", Number.isFinite(word.bits) ? (-word.bits * Math.LN2).toFixed(3) : "−∞"],
          ["surprise", `${Number.isFinite(word.bits) ? word.bits.toFixed(2) : "∞"}\u2009bits`],
          ["probability", formatChance(word.bits)],
        ]}
      />
      <div>
        <Button
          className="small"
          disabled={isBusy}
          onClick={() => void branch()}
          title="Keeps the text before it as the prompt and writes on with the next seed"
        >
          Write on from before it
        </Button>
      </div>
    </Section>
  );
}

function History() {
  const history = usePlayground((state) => state.history);
  const takeBack = usePlayground((state) => state.takeBack);
  if (history.length === 0) {
    return null;
  }
  return (
    <Section title="Prompts of this session">
      <ul className="history">
        {history.map((entry) => (
          <li key={entry.at}>
            <button
              type="button"
              onClick={() => takeBack(entry)}
              title={`${entry.prompt.slice(0, 400)}\n\n${entry.modelName}${entry.step === null ? "" : `, step ${entry.step}`}`}
            >
              <time dateTime={new Date(entry.at).toISOString()}>{new Date(entry.at).toTimeString().slice(0, 5)}</time>
              <span>{entry.prompt.trim() === "" ? "(empty prompt)" : entry.prompt.trim().slice(0, 80)}</span>
            </button>
          </li>
        ))}
      </ul>
    </Section>
  );
}
