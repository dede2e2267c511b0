// A small button that is only an icon: for what comes back everywhere, never for an action that matters. Its name is
// read out and stands in its tooltip.
import type { ReactNode } from "react";

export function IconButton({
  label,
  onClick,
  children,
}: {
  readonly label: string;
  readonly onClick: () => void;
  readonly children: ReactNode;
}) {
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={onClick}>
      {children}
    </button>
  );
}
