// The three states besides the ordinary one, designed once: nothing here yet, not there yet, and what went wrong.
import type { ReactNode } from "react";

export function EmptyState({
  title,
  children,
  actions,
}: {
  readonly title: string;
  readonly children?: ReactNode;
  readonly actions?: ReactNode;
}) {
  return (
    <div className="state">
      <h2>{title}</h2>
      {children}
      {actions === undefined ? null : <div className="button-row">{actions}</div>}
    </div>
  );
}

/** What happened, the evidence, and the way out. */
export function ErrorState({
  title,
  message,
  actions,
}: {
  readonly title: string;
  readonly message: string;
  readonly actions?: ReactNode;
}) {
  return (
    <div className="state" role="alert">
      <h2 className="bad">{title}</h2>
      <p>{message}</p>
      {actions === undefined ? null : <div className="button-row">{actions}</div>}
    </div>
  );
}
