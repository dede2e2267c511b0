// The status line: where work runs and what is left. Asked every few seconds, and not at all while the window is hidden.
import { useEffect, useState } from "react";
import type { appContract } from "#shared/ipc/app.contract";
import type { RequestOutput } from "#shared/ipc/contract";
import { client } from "../lib/client.ts";
import { formatBytes } from "../lib/format.ts";
import { routeHash } from "./router.ts";

type Info = RequestOutput<typeof appContract, "app.info">;
type Status = RequestOutput<typeof appContract, "app.status">;

const pollMs = 4000;

/** The widest vector extension, as people call it. */
function isaName(isa: readonly string[]): string {
  const best = ["avx512f", "avx512", "avx2", "avx", "neon"].find((name) => isa.includes(name));
  return best === undefined ? "" : best.replace("avx512f", "AVX-512").replace("avx512", "AVX-512").toUpperCase();
}

export function StatusBar() {
  const [info, setInfo] = useState<Info | null>(null);
  const [infoProblem, setInfoProblem] = useState<string | null>(null);
  const [status, setStatus] = useState<Status | null>(null);
  useEffect(() => {
    let isOver = false;
    client.request("app.info", {}).then(
      (value) => setInfo(value),
      (error: unknown) => setInfoProblem(error instanceof Error ? error.message : String(error)),
    );
    const ask = (): void => {
      if (!document.hidden) {
        client.request("app.status", {}).then(
          (value) => isOver || setStatus(value),
          () => isOver || setStatus(null),
        );
      }
    };
    ask();
    const timer = setInterval(ask, pollMs);
    const unsubscribe = client.subscribe("runs.list-changed", ask);
    return () => {
      isOver = true;
      clearInterval(timer);
      unsubscribe();
    };
  }, []);
  const machine = info?.machine;
  return (
    <footer className="status-bar" aria-label="Status">
      <span className={`status-dot ${infoProblem === null ? "" : "is-bad"}`} aria-hidden="true" />
      {machine === undefined ? (
        <span className={infoProblem === null ? "" : "bad"}>{infoProblem ?? "looking at this computer…"}</span>
      ) : (
        <>
          <span title={machine.cpuModel}>
            This computer: {machine.threads} threads{isaName(machine.isa) === "" ? "" : `, ${isaName(machine.isa)}`},{" "}
            {machine.gemm === "onednn" ? "oneDNN" : "built-in kernels"}
          </span>
          <span>{machine.gpus.length === 0 ? "no GPU in use" : machine.gpus.join(", ")}</span>
        </>
      )}
      <span className="status-space" />
      {status === null ? null : (
        <>
          <a href={routeHash("runs")}>
            {status.running} running{status.queued > 0 ? `, ${status.queued} queued` : ""}
          </a>
          <span>{formatBytes(status.freeBytes)} free</span>
        </>
      )}
    </footer>
  );
}
