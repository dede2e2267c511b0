// One model: what it is, what it takes to train and to run, and how it fits a tokenizer. Its tensors are in the panel
// below, where it lies is beside it.
import { routeHash } from "../../app/router.ts";
import { formatBytes, formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { Finding, LintSection } from "./lint-section.tsx";
import { MemorySection } from "./memory-section.tsx";
import { dtypesText, familyNames, headNames, parametersQuantity, shapeText, sortFindings } from "./model-words.ts";
import { forgetModel, openModel, useModels, useModelTitle } from "./store.ts";

export function ModelPage({ source }: { readonly source: string }) {
  const open = useModels((state) => state.open);
  const { value, error } = useModels((state) => state.description);
  const title = useModelTitle();
  const info = useModels((state) => state.list?.find((each) => each.source === source) ?? null);
  if (open !== source || (value === null && error === null)) {
    return <p className="state-note">Reading the headers of {source}…</p>;
  }
  if (value === null) {
    return (
      <ErrorState
        title="This model cannot be opened"
        message={error ?? ""}
        actions={
          <>
            <Button onClick={() => void openModel(source, { isAgain: true })}>Try again</Button>
            {info?.origin === "opened" ? (
              <Button
                onClick={() => {
                  void forgetModel(source);
                  window.location.hash = routeHash("models");
                }}
              >
                Take it off the list
              </Button>
            ) : null}
            <a className="button" href={routeHash("models")}>
              All models
            </a>
          </>
        }
      />
    );
  }
  return (
    <div className="page model-page">
      <div className="page-title">
        <h1>{title}</h1>
        <span>
          {familyNames[value.family]}, {headNames[value.head]}
          {value.adapter === null ? "" : ", with a LoRA adapter"}
        </span>
        {value.publishedName === null ? null : (
          <span className="muted" data-testid="published-name">
            the size of {value.publishedName}
          </span>
        )}
      </div>
      {error === null ? null : (
        <p className="banner banner-bad" role="alert">
          What is shown may be out of date: {error}
        </p>
      )}
      <Headlines />
      {value.findings.length === 0 ? null : (
        <ul className="lint-findings" aria-label="What stands out">
          {sortFindings(value.findings).map((finding) => (
            <Finding key={`${finding.code} ${finding.message}`} finding={finding} />
          ))}
        </ul>
      )}
      <MemorySection />
      <LintSection />
    </div>
  );
}

function Headlines() {
  const model = useModels((state) => state.description.value);
  if (model === null) {
    return null;
  }
  const [parameters, unit] = parametersQuantity(model.parameters.value);
  const [weights, weightsUnit] = formatBytes(model.tensors.reduce((sum, tensor) => sum + tensor.sizeBytes, 0)).split(
    "\u2009",
  );
  const { layers } = model.shape;
  const rows: readonly (readonly [string, string, string])[] = [
    [parameters, unit, `parameters, exactly ${formatCount(model.parameters.value)}`],
    [String(layers), layers === 1 ? "layer" : "layers", shapeText(model)],
    [formatCount(model.shape.vocabulary), "", "tokens in its vocabulary"],
    [formatCount(model.shape.context), "", "tokens of context"],
    [weights ?? "", weightsUnit ?? "", `of weights in ${dtypesText(model.tensors)}`],
  ];
  return (
    <dl className="headlines">
      {rows.map(([value, ofUnit, label]) => (
        <div key={label} className="headline">
          <dt className="headline-label">{label}</dt>
          <dd className="headline-value">
            {value}
            {ofUnit === "" ? null : <span className="unit"> {ofUnit}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
