// How the main modifier key is written on this machine.
export const modifierKey = window.assay.platform === "darwin" ? "⌘" : "Ctrl ";
