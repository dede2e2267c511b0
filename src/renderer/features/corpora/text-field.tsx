// A labelled line of text with what helps to fill it in, or what is wrong with it.
import { useId } from "react";

export function TextField({
  label,
  help,
  value,
  problem = null,
  isNumber = false,
  onChange,
}: {
  readonly label: string;
  readonly help: string;
  readonly value: string;
  readonly problem?: string | null;
  readonly isNumber?: boolean;
  readonly onChange: (value: string) => void;
}) {
  const id = useId();
  return (
    <div className="form-field">
      <label className="field-label" htmlFor={id}>
        {label}
      </label>
      <input
        id={id}
        className={isNumber ? "input form-number" : "input"}
        value={value}
        inputMode={isNumber ? "decimal" : "text"}
        spellCheck={false}
        aria-describedby={`${id}-help`}
        aria-invalid={problem !== null}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
      <p id={`${id}-help`} className={problem === null ? "field-help" : "field-help bad"}>
        {problem ?? help}
      </p>
    </div>
  );
}
