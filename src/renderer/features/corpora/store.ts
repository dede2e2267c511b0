// The corpora of the workspace and what is read of one: its first documents, ledger, clusters. Long work is in jobs.ts.
import { useEffect, useState } from "react";
import { create } from "zustand";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { client, messageOf } from "../../lib/client.ts";

type CorporaState = {
  readonly list: readonly CorpusInfo[] | null;
  readonly listError: string | null;
};

export const useCorpora = create<CorporaState>(() => ({ list: null, listError: null }));

export async function loadCorpora(): Promise<void> {
  try {
    useCorpora.setState({ list: await client.request("corpora.list", {}), listError: null });
  } catch (error) {
    useCorpora.setState({ listError: messageOf(error) });
  }
}

/** Names that are taken: a new corpus needs another. */
export function useTakenNames(): ReadonlySet<string> {
  const list = useCorpora((state) => state.list);
  return new Set((list ?? []).filter((info) => !info.isUnfinished).map((info) => info.name));
}

export type Asked<T> = {
  readonly value: T | null;
  readonly error: string | null;
  readonly isLoading: boolean;
  readonly again: () => void;
};

/** Asks whenever the key changes, and drops answers to older questions. What was true stays while a key is asked again. */
export function useAsked<T>(key: string | null, ask: () => Promise<T>): Asked<T> {
  const [turn, setTurn] = useState(0);
  const [answer, setAnswer] = useState<{ key: string; value: T | null; error: string | null } | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says all that the question depends on
  useEffect(() => {
    if (key === null) {
      return undefined;
    }
    let isCurrent = true;
    ask().then(
      (value) => isCurrent && setAnswer({ key, value, error: null }),
      (error: unknown) => isCurrent && setAnswer({ key, value: null, error: messageOf(error) }),
    );
    return () => {
      isCurrent = false;
    };
  }, [key, turn]);
  const own = answer?.key === key ? answer : null;
  return {
    value: own?.value ?? null,
    error: own?.error ?? null,
    isLoading: key !== null && own === null,
    again: () => setTurn(turn + 1),
  };
}
