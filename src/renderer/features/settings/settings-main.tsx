// Settings: how the window looks and where the work lies.
import { useState } from "react";
import type { Theme } from "#shared/ipc/app.contract";
import { changeSettings, useSettings } from "../../app/settings-store.ts";
import { client, messageOf } from "../../lib/client.ts";
import { Button } from "../../ui/button.tsx";
import { refreshList } from "../runs/store.ts";
import "./settings.css";

const themes: readonly { readonly value: Theme; readonly label: string }[] = [
  { value: "system", label: "As the system" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

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
      title: "The workspace: corpora, tokenizers, recipes and runs",
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
      <fieldset>
        <legend>Theme</legend>
        <div className="choices">
          {themes.map(({ value, label }) => (
            <label key={value}>
              <input
                type="radio"
                name="theme"
                checked={settings.theme === value}
                onChange={() => void change(() => changeSettings({ theme: value }))}
              />{" "}
              {label}
            </label>
          ))}
        </div>
      </fieldset>
      <section aria-labelledby="workspace-title">
        <h2 id="workspace-title">Workspace</h2>
        <p className="muted">
          The folder of corpora, tokenizers, recipes and runs. Changing it moves nothing; runs in the old one go on.
        </p>
        <p className="mono path" data-testid="workspace">
          {settings.workspace}
        </p>
        <div className="button-row">
          <Button onClick={() => void change(chooseWorkspace)}>Choose another…</Button>
          <Button onClick={() => void change(() => client.request("app.reveal", { path: settings.workspace }))}>
            Open folder
          </Button>
        </div>
      </section>
    </div>
  );
}
