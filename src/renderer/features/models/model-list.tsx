// All models as one quiet table: checkpoints of runs, what was exported or fetched, and what was opened from elsewhere.
import type { ModelInfo } from "#shared/domain/model";
import { go, routeHash } from "../../app/router.ts";
import { formatBytes, formatTime } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { EmptyState, ErrorState } from "../../ui/states.tsx";
import { familyNames, modelLabel, originText } from "./model-words.ts";
import { chooseModelFolder } from "./open-model.ts";
import { forgetModel, loadModels, useModels } from "./store.ts";

function asText(list: readonly ModelInfo[]): string {
  return tableText(
    ["model", "step", "family", "origin", "bytes", "modified", "path"],
    list.map((info) => [
      info.name,
      info.step,
      info.family === null ? null : familyNames[info.family],
      originText(info),
      info.sizeBytes,
      info.modifiedAt,
      info.source,
    ]),
  );
}

export function ModelList() {
  const list = useModels((state) => state.list);
  const error = useModels((state) => state.listError);
  if (list === null) {
    return error === null ? (
      <p className="state-note">Looking for models…</p>
    ) : (
      <ErrorState
        title="The models could not be listed"
        message={error}
        actions={<Button onClick={() => void loadModels()}>Try again</Button>}
      />
    );
  }
  if (list.length === 0) {
    return (
      <EmptyState
        title="No models yet"
        actions={
          <>
            <Button variant="primary" onClick={() => void chooseModelFolder()}>
              Open a model folder…
            </Button>
            <Button onClick={() => go("recipes")}>Train one from a recipe</Button>
          </>
        }
      >
        <p>
          A model is a folder with config.json and its weights, as Hugging Face Transformers writes it: GPT-2, BERT or
          Megatron-BERT. Open one, drop its folder here, or train one: every checkpoint of a run is a model too.
        </p>
      </EmptyState>
    );
  }
  return (
    <div className="page">
      <h1>Models</h1>
      {error === null ? null : <p className="bad">This list may be out of date: {error}</p>}
      <table className="table is-clickable models-table">
        <thead>
          <tr>
            <th scope="col">model</th>
            <th scope="col">family</th>
            <th scope="col">where from</th>
            <th scope="col" className="number">
              weights
            </th>
            <th scope="col" className="number optional">
              written
            </th>
            <th scope="col">
              <span className="sr-only">off the list</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((info) => (
            <Row key={info.source} info={info} />
          ))}
        </tbody>
      </table>
      <p className="table-foot models-foot">
        <CopyButton className="small" text={() => asText(list)}>
          Copy table
        </CopyButton>
        <span className="muted">A folder or file that is dropped here opens.</span>
      </p>
    </div>
  );
}

function Row({ info }: { readonly info: ModelInfo }) {
  return (
    <tr onClick={() => go("models", info.source)}>
      <td>
        <a href={routeHash("models", info.source)}>{modelLabel(info)}</a>
        {info.origin === "opened" ? (
          <span className="models-path muted" title={info.source}>
            {info.source}
          </span>
        ) : null}
      </td>
      {info.problem === null ? (
        <td className="muted">{info.family === null ? "–" : familyNames[info.family]}</td>
      ) : (
        <td className="bad" title={info.problem}>
          cannot be read
        </td>
      )}
      <td className="muted">{originText(info)}</td>
      <td className="number">{info.sizeBytes === 0 ? "–" : formatBytes(info.sizeBytes)}</td>
      <td className="number optional">{info.modifiedAt === null ? "–" : formatTime(info.modifiedAt)}</td>
      <td className="models-forget">
        {info.origin === "opened" ? (
          <button
            type="button"
            className="text-button"
            aria-label={`Take ${info.name} off the list`}
            title="Takes it off this list; nothing is deleted"
            onClick={(event) => {
              event.stopPropagation();
              void forgetModel(info.source);
            }}
          >
            Remove
          </button>
        ) : null}
      </td>
    </tr>
  );
}
