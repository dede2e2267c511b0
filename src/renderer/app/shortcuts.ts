// Keys that work everywhere in the window. Keys of one view are that view's own.
import { useEffect } from "react";
import { usePalette } from "./palette.tsx";
import { go } from "./router.ts";

export function useShortcuts(onToggleSidebar: () => void): void {
  useEffect(() => {
    const isMac = window.assay.platform === "darwin";
    const withModifier: Readonly<Record<string, () => void>> = {
      KeyK: () => usePalette.setState((state) => ({ isOpen: !state.isOpen })),
      KeyP: () => usePalette.setState({ isOpen: true }),
      KeyB: onToggleSidebar,
      Comma: () => go("settings"),
      Slash: () => usePalette.setState((state) => ({ isHelpOpen: !state.isHelpOpen })),
      ...(isMac ? { BracketLeft: () => window.history.back(), BracketRight: () => window.history.forward() } : {}),
    };
    const withAlt: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => window.history.back(),
      ArrowRight: () => window.history.forward(),
    };
    const onKey = (event: KeyboardEvent): void => {
      const isModified = isMac ? event.metaKey : event.ctrlKey;
      const isInEditor = event.target instanceof Element && event.target.closest(".monaco-editor") !== null;
      const isForEditor = isInEditor && (event.code === "Slash" || event.code.startsWith("Bracket"));
      const isBarePrint = event.code === "KeyP" && !event.shiftKey;
      const action =
        isModified && !event.altKey && !isForEditor && !isBarePrint
          ? withModifier[event.code]
          : event.altKey && !isModified && !isMac
            ? withAlt[event.code]
            : undefined;
      if (action !== undefined) {
        event.preventDefault();
        action();
      }
    };
    window.addEventListener("keydown", onKey, { capture: true });
    return () => window.removeEventListener("keydown", onKey, { capture: true });
  }, [onToggleSidebar]);
}
