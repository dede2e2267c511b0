// The corpora of the workspace and what is read of one: its first documents, ledger, clusters. Long work is in jobs.ts.
import { useEffect, useState } from "react";
import { create } from "zustand";
import type { RequestInput, RequestName, RequestOutput } from "#shared/ipc/contract";
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import type { Contract } from "#shared/ipc/index";
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

/**
 * Asks whenever the question or the version of what it is about changes, and drops answers to older questions. Null asks
 * nothing.
 */
export function useAsked<Name extends RequestName<Contract>>(
  name: Name,
  input: RequestInput<Contract, Name> | null,
  version = "",
): Asked<RequestOutput<Contract, Name>> {
  const [turn, setTurn] = useState(0);
  const [answer, setAnswer] = useState<{
    readonly key: string;
    readonly value: RequestOutput<Contract, Name> | null;
    readonly error: string | null;
  } | null>(null);
  const key = input === null ? null : JSON.stringify([input, version, turn]);
  useEffect(() => {
    if (key === null) {
      return undefined;
    }
    let isCurrent = true;
    // as: put there above.
    const [question] = JSON.parse(key) as [RequestInput<Contract, Name>];
    client.request(name, question).then(
      (value) => isCurrent && setAnswer({ key, value, error: null }),
      (error: unknown) => isCurrent && setAnswer({ key, value: null, error: messageOf(error) }),
    );
    return () => {
      isCurrent = false;
    };
  }, [name, key]);
  const own = answer?.key === key ? answer : null;
  return {
    value: own?.value ?? null,
    error: own?.error ?? null,
    isLoading: key !== null && own === null,
    again: () => setTurn(turn + 1),
  };
}
