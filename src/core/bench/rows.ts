// The form of every benchmark's result. Ours and the peer's are rates, higher is better, taken on the same work in
// interleaved rounds; `ratio` above 1 means ours is better. Where the peer is not installed, its figures are null.
export type BenchRow = {
  readonly name: string;
  /** Medians over all rounds. */
  readonly ours: number;
  readonly peer: number | null;
  readonly peer_name: string;
  /** Median of the rounds' ratios. */
  readonly ratio: number | null;
  /** Best against best: what both do when the machine is quiet. */
  readonly best_ratio: number | null;
  readonly best_ours: number;
  readonly best_peer: number | null;
  readonly unit: string;
  readonly rounds: number;
  /** How many times longer twice the text takes, where that is asked: the median over the rounds. */
  readonly growth?: number;
};

export type BenchProgress = (what: string) => void;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** `rounds` holds, for each interleaved round, the rates that either side reached; none of a peer that is not there. */
export function benchRow(
  name: string,
  peerName: string,
  unit: string,
  rounds: readonly { readonly ours: readonly number[]; readonly peer: readonly number[] }[],
): BenchRow {
  const ours = rounds.flatMap((round) => round.ours);
  const peer = rounds.flatMap((round) => round.peer);
  const best_ours = Math.max(...ours);
  const best_peer = peer.length === 0 ? null : Math.max(...peer);
  return {
    name,
    ours: median(ours),
    peer: peer.length === 0 ? null : median(peer),
    peer_name: peerName,
    ratio: peer.length === 0 ? null : median(rounds.map((round) => median(round.ours) / median(round.peer))),
    best_ratio: best_peer === null ? null : best_ours / best_peer,
    best_ours,
    best_peer,
    unit,
    rounds: rounds.length,
  };
}
