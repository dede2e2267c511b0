// The panel below a model: its tensors as a table that can be searched and sorted, and its files.
import { useDeferredValue, useMemo, useState } from "react";
import { formatBytes, formatCount } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Tabs } from "../../ui/tabs.tsx";
import { findTensors, shapeOfTensor, type TensorOrder } from "./model-words.ts";
import { useModels } from "./store.ts";

const tabs = ["Tensors", "Files"] as const;
/** As many as a person would scroll; a search finds the others. */
const SHOWN_ROWS = 1000;

export function TensorPanel() {
  const [tab, setTab] = useState<(typeof tabs)[number]>("Tensors");
  const model = useModels((state) => state.description.value);
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState<TensorOrder>("file");
  const deferredSearch = useDeferredValue(search);
  const found = useMemo(() => findTensors(model?.tensors ?? [], deferredSearch, order), [model, deferredSearch, order]);
  const isFailed = useModels((state) => state.description.error !== null);
  if (model === null) {
    return <p className="state-note">{isFailed ? "No tensors: the model could not be read." : "Reading…"}</p>;
  }
  return (
    <section className="bottom-panel" aria-label="Tensors and files">
      <div className="bottom-head">
        <Tabs
          label="Tensors and files"
          names={tabs}
          chosen={tab}
          counts={{ Tensors: model.tensors.length, Files: model.files.length }}
          onChoose={setTab}
        />
        {tab === "Tensors" ? (
          <span className="tensor-tools">
            <input
              type="search"
              className="input tensor-search"
              placeholder="Search names, types, shapes"
              aria-label="Search tensors"
              value={search}
              spellCheck={false}
              onChange={(event) => setSearch(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Escape") {
                  setSearch("");
                }
              }}
            />
            <label className="memory-control">
              <span className="muted">by</span>
              <select
                className="select"
                value={order}
                aria-label="Order of tensors"
                onChange={(event) => setOrder(event.currentTarget.value as TensorOrder)}
              >
                <option value="file">place in the file</option>
                <option value="name">name</option>
                <option value="size">size</option>
              </select>
            </label>
            <CopyButton
              className="small quiet"
              text={() =>
                tableText(
                  ["tensor", "type", "shape", "bytes"],
                  found.map((tensor) => [tensor.name, tensor.dtype, tensor.shape.join("x"), tensor.sizeBytes]),
                )
              }
            >
              Copy table
            </CopyButton>
          </span>
        ) : null}
      </div>
      {tab === "Files" ? (
        <FileTable />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
        <div className="tensor-scroll" tabIndex={0} role="region" aria-label="Tensors">
          {found.length === 0 ? <p className="muted">No tensor is called that.</p> : null}
          {found.length === 0 ? null : (
            <table className="table tensor-table">
              <thead>
                <tr>
                  <th scope="col">tensor</th>
                  <th scope="col">type</th>
                  <th scope="col" className="number">
                    shape
                  </th>
                  <th scope="col" className="number">
                    size
                  </th>
                </tr>
              </thead>
              <tbody>
                {found.slice(0, SHOWN_ROWS).map((tensor) => (
                  <tr key={tensor.name}>
                    <td className="mono">{tensor.name}</td>
                    <td className="mono muted">{tensor.dtype}</td>
                    <td className="number">{shapeOfTensor(tensor.shape)}</td>
                    <td className="number">{formatBytes(tensor.sizeBytes)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          <p className="sr-only" role="status">
            {formatCount(found.length)} of {formatCount(model.tensors.length)} tensors
          </p>
          {found.length > SHOWN_ROWS ? (
            <p className="muted tensor-more">
              The first {formatCount(SHOWN_ROWS)} of {formatCount(found.length)}; search for the others.
            </p>
          ) : null}
        </div>
      )}
    </section>
  );
}

const noFiles = [] as const;

function FileTable() {
  const files = useModels((state) => state.description.value?.files ?? noFiles);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
    <div className="tensor-scroll" tabIndex={0} role="region" aria-label="Files">
      <table className="table tensor-table">
        <thead>
          <tr>
            <th scope="col">file</th>
            <th scope="col" className="number">
              size
            </th>
          </tr>
        </thead>
        <tbody>
          {files.map((file) => (
            <tr key={file.name}>
              <td className="mono">{file.name}</td>
              <td className="number">{formatBytes(file.sizeBytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
