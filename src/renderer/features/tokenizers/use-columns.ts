// How many columns of the token font fit into an element; follows its width and the arrival of the font.
import { type RefObject, useEffect, useState } from "react";

const SAMPLE_LENGTH = 64;

export function useColumns(ref: RefObject<HTMLElement | null>): number {
  const [columns, setColumns] = useState(96);
  useEffect(() => {
    const host = ref.current;
    if (host === null) {
      return undefined;
    }
    const probe = document.createElement("span");
    probe.className = "piece-probe";
    probe.textContent = "0".repeat(SAMPLE_LENGTH);
    probe.ariaHidden = "true";
    host.append(probe);
    const measure = () => {
      const width = probe.getBoundingClientRect().width / SAMPLE_LENGTH;
      if (width > 0 && host.clientWidth > 0) {
        // Two columns are left for the scroll bar of a long text.
        setColumns(Math.max(16, Math.floor(host.clientWidth / width) - 2));
      }
    };
    const observer = new ResizeObserver(measure);
    observer.observe(host);
    void document.fonts.ready.then(measure);
    return () => {
      observer.disconnect();
      probe.remove();
    };
  }, [ref]);
  return columns;
}
