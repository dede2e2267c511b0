// Home: on first start the one page that begins; later what runs, what ran last, and the next steps.
import { useEffect, useState } from "react";
import { go, routeHash } from "../../app/router.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatTime } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { listenToRuns, startQuickstart, useRuns } from "../runs/store.ts";
import { positionText, toneOf } from "../runs/view-model.ts";
import "./home.css";

function useStart(): {
  readonly isStarting: boolean;
  readonly problem: string | null;
  readonly train: () => void;
  readonly openFolder: () => void;
} {
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

export function HomeMain() {
  const list = useRuns((state) => state.list);
  const listError = useRuns((state) => state.listError);
  const { isStarting, problem, train, openFolder } = useStart();
  useEffect(listenToRuns, []);
  const recent = (list ?? []).slice(0, 5);
  const isFirst = list !== null && list.length === 0;
  return (
    <div className="page home">
      <h1>{isFirst ? "A language model of your own field" : "Home"}</h1>
      {isFirst ? (
        <p className="home-lead">
          From a folder of articles to a tokenizer, a trained model and its figures, on this computer. Nothing is sent
          anywhere, and nothing needs the network.
        </p>
      ) : null}
      {problem === null ? null : (
        <p className="banner banner-bad" role="alert">
          {problem}
        </p>
      )}
      <ul className="home-ways">
        <li>
          <Button variant="primary" disabled={isStarting} onClick={train}>
            Train a biomedical model on this computer now
          </Button>
          <p>
            A tokenizer of 2 048 pieces and a small GPT-2 on the bundled sample of abstracts, which were written for
            this. The first curve takes less than a minute, the whole about two.
          </p>
        </li>
        <li>
          <Button disabled={isStarting} onClick={openFolder}>
            Open a folder of articles…
          </Button>
          <p>
            Text files or JSON lines; a recipe is made for them, with its forecast of time, memory and disk before
            anything starts.
          </p>
        </li>
      </ul>
      {list === null && listError === null ? <p className="muted">Looking for runs…</p> : null}
      {listError === null ? null : <p className="bad">The runs could not be read: {listError}</p>}
      {recent.length === 0 ? null : (
        <section aria-labelledby="recent-title">
          <h2 id="recent-title" className="details-title">
            Recent runs
          </h2>
          <table className="table">
            <tbody>
              {recent.map((run) => (
                <tr key={run.id}>
                  <td>
                    <a href={routeHash("runs", run.id)}>{run.name}</a>
                  </td>
                  <td className={toneOf(run.status)}>{run.status}</td>
                  <td className="muted tabular">{positionText(run)}</td>
                  <td className="number">
                    {run.evalPerplexity === null ? "" : `perplexity ${run.evalPerplexity.toFixed(1)}`}
                  </td>
                  <td className="number muted">{formatTime(run.createdAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}
