// Going through a long list page by page, with the place in words.
import { formatCount } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";

export function Pager({
  from,
  to,
  total,
  pageSize: size,
  what,
  onFrom,
}: {
  readonly from: number;
  readonly to: number;
  /** Null where it is not known; then a full page may have another behind it. */
  readonly total: number | null;
  readonly pageSize: number;
  readonly what: string;
  readonly onFrom: (from: number) => void;
}) {
  const hasMore = total === null ? to - from === size : to < total;
  if (from === 0 && !hasMore) {
    return null;
  }
  return (
    <div className="pager">
      <Button className="small" disabled={from === 0} onClick={() => onFrom(Math.max(0, from - size))}>
        Previous
      </Button>
      <span className="muted" role="status">
        {what} {formatCount(from + 1)} to {formatCount(to)}
        {total === null ? "" : ` of ${formatCount(total)}`}
      </span>
      <Button className="small" disabled={!hasMore} onClick={() => onFrom(from + size)}>
        Next
      </Button>
    </div>
  );
}
