// A row of tabs: one stop for Tab, arrows to move between them, as a tab list is expected to work.
import type { KeyboardEvent } from "react";

export function Tabs<Name extends string>({
  label,
  names,
  chosen,
  counts = {},
  onChoose,
}: {
  readonly label: string;
  readonly names: readonly Name[];
  readonly chosen: Name;
  /** A number behind a name; none for zero. */
  readonly counts?: Partial<Readonly<Record<Name, number>>>;
  readonly onChoose: (name: Name) => void;
}) {
  const onKey = (event: KeyboardEvent<HTMLDivElement>): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const next = names[(names.indexOf(chosen) + step + names.length) % names.length];
    if (step !== 0 && next !== undefined) {
      event.preventDefault();
      onChoose(next);
      event.currentTarget.querySelector<HTMLElement>(`[data-name="${next}"]`)?.focus();
    }
  };
  return (
    <div className="tabs" role="tablist" aria-label={label} onKeyDown={onKey}>
      {names.map((name) => (
        <button
          key={name}
          type="button"
          role="tab"
          data-name={name}
          aria-selected={name === chosen}
          tabIndex={name === chosen ? 0 : -1}
          className="tab"
          onClick={() => onChoose(name)}
        >
          {name}
          {(counts[name] ?? 0) === 0 ? null : <span className="tab-count">{counts[name]}</span>}
        </button>
      ))}
    </div>
  );
}
