// Copies a text and says so for a moment in its own words.
import { useEffect, useState } from "react";
import { messageOf } from "../lib/client.ts";
import { Button } from "./button.tsx";

const saidForMs = 1600;

export function CopyButton({
  children,
  text,
  className,
}: {
  readonly children: string;
  /** Asked when pressed, so that a long table is not made up for nothing. */
  readonly text: () => string;
  readonly className?: string;
}) {
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    if (said === null) {
      return undefined;
    }
    const timer = setTimeout(() => setSaid(null), saidForMs);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = (): void => {
    navigator.clipboard.writeText(text()).then(
      () => setSaid("Copied"),
      (error: unknown) => setSaid(`Not copied: ${messageOf(error)}`),
    );
  };
  return (
    <Button className={className ?? ""} onClick={copy} aria-live="polite">
      {said ?? children}
    </Button>
  );
}
