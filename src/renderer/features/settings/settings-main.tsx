// Settings: how the window looks, where the work lies, and what this program and machine are.
import { useEffect, useState } from "react";
import type { appContract, Theme } from "#shared/ipc/app.contract";
import type { RequestOutput } from "#shared/ipc/contract";
import { changeSettings, useSettings } from "../../app/settings-store.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatBytes } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Facts } from "../../ui/facts.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { refreshList } from "../runs/store.ts";
import "./settings.css";

type Info = RequestOutput<typeof appContract, "app.info">;

const themes: readonly { readonly value: Theme; readonly label: string }[] = [
  { value: "system", label: "As the system" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

function useInfo(): { readonly info: Info | null; readonly problem: string | null } {
  const [info, setInfo] = useState<Info | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    client.request("app.info", {}).then(setInfo, (error: unknown) => setProblem(messageOf(error)));
  }, []);
  return { info, problem };
}

function infoRows({ version, platform, machine }: Info): readonly (readonly [string, string])[] {
  return [
    ["Assay", version],
    ["system", platform],
    ["processor", machine.cpuModel],
    ["threads in use", String(machine.threads)],
    ["instructions", machine.isa.join(" ")],
    ["matrix products", machine.gemm === "onednn" ? "oneDNN" : "built-in kernels (oneDNN would be faster)"],
    ["memory", formatBytes(machine.memoryBytes)],
    ["GPUs in use", machine.gpus.length === 0 ? "none" : machine.gpus.join(", ")],
  ];
}

function About() {
  const { info, problem } = useInfo();
  return (
    <section aria-labelledby="about-title">
      <h2 id="about-title">This program and this computer</h2>
      {problem === null ? null : <p className="bad">{problem}</p>}
      {info === null ? (
        <p className="muted">{problem === null ? "Looking…" : "Without its engine nothing can be trained."}</p>
      ) : (
        <>
          <Facts rows={infoRows(info)} />
          <div className="button-row">
            <CopyButton
              className="small"
              text={() =>
                infoRows(info)
                  .map((row) => row.join(": "))
                  .join("\n")
              }
            >
              Copy for a report
            </CopyButton>
          </div>
        </>
      )}
    </section>
  );
}

export function SettingsMain() {
  const settings = useSettings((state) => state.settings);
  const [problem, setProblem] = useState<string | null>(null);
  const change = async (work: () => Promise<unknown>): Promise<void> => {
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  const chooseWorkspace = async (): Promise<void> => {
    const { path } = await client.request("app.choose-folder", {
      title: "The workspace: tokenizers, recipes and runs",
    });
    if (path !== null) {
      await changeSettings({ workspace: path });
      refreshList();
    }
  };
  if (settings === null) {
    return <p className="state-note">Reading the settings…</p>;
  }
  return (
    <div className="page settings">
      <h1>Settings</h1>
      {problem === null ? null : (
        <p className="banner banner-bad" role="alert">
          {problem}
        </p>
      )}
      <section aria-labelledby="theme-title">
        <h2 id="theme-title">Theme</h2>
        <div>
          <Segmented
            label="Theme"
            choices={themes}
            value={settings.theme}
            onChange={(theme) => void change(() => changeSettings({ theme }))}
          />
        </div>
      </section>
      <section aria-labelledby="workspace-title">
        <h2 id="workspace-title">Workspace</h2>
        <p className="muted">
          The folder of tokenizers, recipes and runs. Changing it moves nothing; runs in the old one go on.
        </p>
        <p className="mono path" data-testid="workspace">
          {settings.workspace}
        </p>
        <div className="button-row">
          <Button onClick={() => void change(chooseWorkspace)}>Choose another…</Button>
          <Button onClick={() => void change(() => client.request("app.reveal", { path: settings.workspace }))}>
            Open folder
          </Button>
          <CopyButton text={() => settings.workspace}>Copy path</CopyButton>
        </div>
      </section>
      <About />
    </div>
  );
}
