// One model: what it is, what it takes to train and to run, and how it fits a tokenizer. Its tensors are in the panel
// below, where it lies is beside it.
import { routeHash } from "../../app/router.ts";
import { formatBytes, formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { LintSection } from "./lint-section.tsx";
import { MemorySection } from "./memory-section.tsx";
import { familyNames, headNames, parametersQuantity, shapeText } from "./model-words.ts";
import { forgetModel, openModel, useModels } from "./store.ts";

export function ModelPage({ source }: { readonly source: string }) {
  const open = useModels((state) => state.open);
  const { value, error } = useModels((state) => state.description);
  const origin = useModels((state) => state.list?.find((info) => info.source === source)?.origin ?? null);
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
            {origin === "opened" ? (
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
        <h1>{value.name}</h1>
        <span>
          {familyNames[value.family]}, {headNames[value.head]}
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
      <TensorTroubles />
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
  const bytes = model.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const rows: readonly (readonly [string, string, string])[] = [
    [parameters, unit, `parameters, exactly ${formatCount(model.parameters.value)}`],
    [String(model.shape.layers), "layers", shapeText(model).split(", ").slice(1).join(", ")],
    [formatCount(model.shape.vocabulary), "", "tokens in its vocabulary"],
    [formatCount(model.shape.context), "", "tokens of context"],
    [
      formatBytes(bytes).split("\u2009")[0] ?? "",
      formatBytes(bytes).split("\u2009")[1] ?? "",
      `in ${files(model.files.length)}`,
    ],
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

function files(count: number): string {
  return count === 1 ? "one file" : `${formatCount(count)} files`;
}

const SHOWN_NAMES = 6;

/** Tensors that the architecture has and the files do not, or the other way round. */
function TensorTroubles() {
  const model = useModels((state) => state.description.value);
  if (model === null || (model.missing.length === 0 && model.unexpected.length === 0)) {
    return null;
  }
  const named = (names: readonly string[]): string =>
    `${names.slice(0, SHOWN_NAMES).join(", ")}${names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : ""}`;
  return (
    <div className="model-troubles">
      {model.missing.length === 0 ? null : (
        <p className="bad">
          Not in its files, though its architecture has {model.missing.length === 1 ? "it" : "them"}:{" "}
          <code>{named(model.missing)}</code>.
        </p>
      )}
      {model.unexpected.length === 0 ? null : (
        <p className="muted">
          In its files and not used: <code>{named(model.unexpected)}</code>.
        </p>
      )}
    </div>
  );
}
