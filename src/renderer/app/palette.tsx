// The command palette: every command of every feature, every view, every run and recipe, by a few letters.
import { Command as Palette } from "cmdk";
import { useEffect } from "react";
import { create } from "zustand";
import type { Command } from "./feature.ts";
import { features } from "./features.ts";
import { go } from "./router.ts";
import { changeSettings } from "./settings-store.ts";

export const usePalette = create<{ readonly isOpen: boolean; readonly isHelpOpen: boolean }>(() => ({
  isOpen: false,
  isHelpOpen: false,
}));

function shellCommands(): readonly Command[] {
  return [
    ...features.map((feature) => ({
      id: `go-${feature.id}`,
      title: `Go to ${feature.title}`,
      run: () => go(feature.id),
    })),
    ...(["system", "light", "dark"] as const).map((theme) => ({
      id: `theme-${theme}`,
      title: `Theme: ${theme}`,
      keywords: "appearance colour",
      run: () => void changeSettings({ theme }),
    })),
    {
      id: "shortcuts",
      title: "Keyboard shortcuts",
      keywords: "help keys",
      run: () => usePalette.setState({ isHelpOpen: true }),
    },
  ];
}

export function CommandPalette() {
  const isOpen = usePalette((state) => state.isOpen);
  const close = (): void => usePalette.setState({ isOpen: false });
  const commands = isOpen ? [...features.flatMap((feature) => feature.commands?.() ?? []), ...shellCommands()] : [];
  return (
    <Palette.Dialog
      open={isOpen}
      onOpenChange={(open) => usePalette.setState({ isOpen: open })}
      label="Search or run a command"
      overlayClassName="palette-overlay"
      contentClassName="palette"
      loop
    >
      <Palette.Input placeholder="Search or run a command" className="palette-input" />
      <Palette.List className="palette-list">
        <Palette.Empty className="palette-empty">Nothing is called that.</Palette.Empty>
        {commands.map((command) => (
          <Palette.Item
            key={command.id}
            value={`${command.title} ${command.keywords ?? ""} ${command.id}`}
            className="palette-item"
            onSelect={() => {
              close();
              command.run();
            }}
          >
            {command.title}
          </Palette.Item>
        ))}
      </Palette.List>
    </Palette.Dialog>
  );
}

const isMac = window.assay.platform === "darwin";
export const modifier = isMac ? "⌘" : "Ctrl ";

const shortcuts: readonly (readonly [string, string])[] = [
  [`${modifier}K`, "search or run a command"],
  [`${modifier}⏎`, "do the view's main action"],
  [`${modifier}B`, "fold the sidebar"],
  [`${modifier},`, "settings"],
  [isMac ? "⌘[ ⌘]" : "Alt ← →", "back, forward"],
  [`${modifier}/`, "this sheet"],
  ["Esc", "close what floats"],
];

export function ShortcutSheet() {
  const isOpen = usePalette((state) => state.isHelpOpen);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape") {
        usePalette.setState({ isHelpOpen: false });
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  if (!isOpen) {
    return null;
  }
  return (
    <div className="palette-overlay" onPointerDown={() => usePalette.setState({ isHelpOpen: false })}>
      <div className="palette shortcut-sheet" role="dialog" aria-modal="true" aria-label="Keyboard shortcuts">
        <h2>Keyboard shortcuts</h2>
        <dl>
          {shortcuts.map(([keys, what]) => (
            <div key={keys}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      </div>
    </div>
  );
}
