// Home: on first start the one page that begins; later what runs, what ran last, and the next steps.
import { useEffect, useState } from "react";
import { aliveStatuses, type RunSummary } from "#shared/domain/run";
import { go, routeHash } from "../../app/router.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatBytes, formatDuration, formatTime } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { refreshList, startQuickstart, useRuns } from "../runs/store.ts";
import { positionText, toneOf } from "../runs/view-model.ts";
import { readForecast, useHome } from "./store.ts";
import "./home.css";

type Start = {
  readonly isStarting: boolean;
  readonly problem: string | null;
  readonly train: () => void;
  readonly openFolder: () => void;
};

function useStart(): Start {
  const [isStarting, setStarting] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setStarting(true);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(messageOf(error));
    } finally {
      setStarting(false);
    }
  };
  return {
    isStarting,
    problem,
    train: () => void attempt(async () => go("runs", await startQuickstart())),
    openFolder: () =>
      void attempt(async () => {
        const { path } = await client.request("app.choose-folder", {
          title: "A folder of articles (.txt, .jsonl, .jsonl.gz)",
        });
        if (path !== null) {
          go("recipes", "new", path);
        }
      }),
  };
}

function Forecast() {
  const forecast = useHome((state) => state.forecast);
  return forecast === null ? null : (
    <span className="muted tabular">
      about {formatDuration(forecast.seconds.value)}, {formatBytes(forecast.memoryBytes.value)} memory,{" "}
      {formatBytes(forecast.diskBytes.value)} disk
    </span>
  );
}

function Ways({ isFirst, start }: { readonly isFirst: boolean; readonly start: Start }) {
  return (
    <ul className="home-ways">
      <li>
        <div className="home-way">
          <Button variant={isFirst ? "primary" : "plain"} disabled={start.isStarting} onClick={start.train}>
            Train a biomedical model on this computer now
          </Button>
          <Forecast />
        </div>
        <p>
          A tokenizer of 2 048 pieces and a small GPT-2 on the bundled sample of abstracts, which were written for it.
          The first curve takes less than a minute.
        </p>
      </li>
      <li>
        <div className="home-way">
          <Button disabled={start.isStarting} onClick={start.openFolder}>
            Open a folder of articles…
          </Button>
        </div>
        <p>
          Text files or JSON lines. A recipe is made for them, with its forecast of time, memory and disk before
          anything starts.
        </p>
      </li>
    </ul>
  );
}

function Running({ runs }: { readonly runs: readonly RunSummary[] }) {
  return runs.length === 0 ? null : (
    <section aria-labelledby="running-title">
      <h2 id="running-title" className="details-title">
        Under way
      </h2>
      <ul className="home-running">
        {runs.map((run) => {
          const share = run.totalSteps === null || run.totalSteps === 0 ? 0 : run.step / run.totalSteps;
          return (
            <li key={run.id}>
              <a href={routeHash("runs", run.id)}>{run.name}</a>
              <span className={toneOf(run.status)}>{run.status}</span>
              <span className="muted tabular">{positionText(run)}</span>
              <span className="home-loss mono">
                {run.trainLoss === null ? "" : run.trainLoss.toFixed(3)}
                <span className="unit">{run.trainLoss === null ? "" : " loss"}</span>
              </span>
              <span className="progress" aria-hidden="true">
                <span style={{ width: `${100 * share}%` }} />
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Recent({ runs }: { readonly runs: readonly RunSummary[] }) {
  return runs.length === 0 ? null : (
    <section aria-labelledby="recent-title">
      <h2 id="recent-title" className="details-title">
        Recent runs
      </h2>
      <table className="table is-clickable">
        <thead className="sr-only">
          <tr>
            <th scope="col">run</th>
            <th scope="col">status</th>
            <th scope="col">where it ended</th>
            <th scope="col">held-out perplexity</th>
            <th scope="col">created</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id} onClick={() => go("runs", run.id)}>
              <td>
                <a href={routeHash("runs", run.id)}>{run.name}</a>
              </td>
              <td className={toneOf(run.status)}>{run.problem === null ? run.status : "cannot be read"}</td>
              <td className="muted tabular">{positionText(run)}</td>
              <td className="number">
                {run.evalPerplexity === null ? (
                  ""
                ) : (
                  <>
                    {run.evalPerplexity.toFixed(1)} <span className="unit">perplexity</span>
                  </>
                )}
              </td>
              <td className="number muted">{formatTime(run.createdAt)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What can be done next with what is there; every entry works. */
function NextSteps({ latest }: { readonly latest: RunSummary | undefined }) {
  return (
    <section aria-labelledby="next-title">
      <h2 id="next-title" className="details-title">
        Next
      </h2>
      <ul className="home-next">
        {latest === undefined ? null : (
          <li>
            <a href={routeHash("playground")}>Write with {latest.name}</a>
            <span className="muted">continue a prompt from any of its checkpoints</span>
          </li>
        )}
        <li>
          <a href={routeHash("tokenizers")}>Look at the pieces</a>
          <span className="muted">how a text falls apart, beside GPT-2’s</span>
        </li>
        <li>
          <a href={routeHash("models")}>Open a model</a>
          <span className="muted">its memory and tokenizer before anything starts; then fine-tune or export it</span>
        </li>
        <li>
          <a href={routeHash("recipes")}>Change the recipe</a>
          <span className="muted">size, data, schedule; with what it will take</span>
        </li>
      </ul>
    </section>
  );
}

export function HomeMain() {
  const list = useRuns((state) => state.list);
  const listError = useRuns((state) => state.listError);
  const start = useStart();
  useEffect(() => void readForecast(), []);
  const isFirst = list !== null && list.length === 0;
  const isAlive = (run: RunSummary): boolean => aliveStatuses.has(run.status) || run.status === "queued";
  const running = (list ?? []).filter(isAlive);
  const recent = (list ?? []).filter((run) => !isAlive(run)).slice(0, 6);
  const latest = (list ?? []).find((run) => run.step > 0);
  return (
    <div className="page home">
      <header>
        <h1>{isFirst ? "A language model of your own field" : "Home"}</h1>
        {isFirst ? (
          <p className="home-lead">
            From a folder of articles to a tokenizer, a trained model and its figures, on this computer. Nothing is sent
            anywhere, and nothing needs the network.
          </p>
        ) : null}
      </header>
      {start.problem === null ? null : (
        <p className="banner banner-bad" role="alert">
          {start.problem}
        </p>
      )}
      {list === null && listError === null ? <p className="muted">Looking for runs…</p> : null}
      {listError === null ? null : (
        <p className="banner banner-bad" role="alert">
          <span>The runs could not be read: {listError}</span> <Button onClick={refreshList}>Try again</Button>
        </p>
      )}
      <Running runs={running} />
      <Recent runs={recent} />
      {list === null || isFirst ? null : <NextSteps latest={latest} />}
      {list === null ? null : (
        <section aria-label="Start">
          {isFirst ? null : <h2 className="details-title">Start another</h2>}
          <Ways isFirst={isFirst} start={start} />
        </section>
      )}
    </div>
  );
}
