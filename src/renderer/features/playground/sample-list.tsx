// Several continuations of one prompt, written side by side: the chosen one stands in the text above.
import { usePlayground } from "./store.ts";
import { continuationText, meanBits } from "./stream-text.ts";

export function SampleList() {
  const samples = usePlayground((state) => state.samples);
  const chosen = usePlayground((state) => state.chosenSample);
  const chooseSample = usePlayground((state) => state.chooseSample);
  if (samples.length < 2) {
    return null;
  }
  return (
    <section className="sample-list" aria-label="Samples">
      {samples.map((sample, index) => {
        const bits = meanBits(sample);
        return (
          <button
            // oxlint-disable-next-line react/no-array-index-key -- a sample is its place among the seeds
            key={`sample-${index}`}
            type="button"
            className={index === chosen ? "sample-row is-chosen" : "sample-row"}
            aria-pressed={index === chosen}
            onClick={() => chooseSample(index)}
          >
            <span className="sample-number">{index + 1}</span>
            <span className="sample-text">{continuationText(sample).trim()}</span>
            <span className="sample-bits">
              {bits === null || !Number.isFinite(bits) ? "" : bits.toFixed(2)}
              <span className="unit"> bits/token</span>
            </span>
          </button>
        );
      })}
    </section>
  );
}
