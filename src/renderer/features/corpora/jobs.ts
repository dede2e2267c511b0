// Long work on corpora: imports, cleanings, scans, counts, splits, shards. It lives here and not in the pages, so that it goes on
// when one looks at something else; each is known by what it is done to, and can be cancelled.
import { create } from "zustand";
import type { StreamInput, StreamOutput } from "#shared/ipc/contract";
import type { CorpusProgressItem, corporaContract } from "#shared/ipc/corpora.contract";
import { CancelledError, client, messageOf } from "../../lib/client.ts";

type Area = typeof corporaContract;
export type JobName = keyof Area["streams"];
export type JobResult<Name extends JobName> = StreamOutput<Area, Name>;

export type Job<Result> =
  | {
      readonly state: "running";
      readonly progress: CorpusProgressItem;
      readonly startedAt: number;
      /** Of this phase, for a rate; when it was left, what it had done then. */
      readonly phaseStartedAt: number;
      readonly phaseStartedWith: number;
    }
  | { readonly state: "cancelled" }
  | { readonly state: "failed"; readonly message: string }
  | { readonly state: "done"; readonly result: Result; readonly seconds: number };

type Jobs = { readonly [Name in JobName]: Readonly<Record<string, Job<JobResult<Name>>>> };

export const useJobs = create<Jobs>(() => ({
  "corpora.import": {},
  "corpora.clean": {},
  "corpora.scan": {},
  "corpora.statistics": {},
  "corpora.split": {},
  "corpora.shard": {},
}));

const aborts = new Map<string, AbortController>();

/** The job of a kind on a subject; undefined where none was begun since the window opened. */
export function useJob<Name extends JobName>(name: Name, subject: string): Job<JobResult<Name>> | undefined {
  return useJobs((state) => state[name][subject]);
}

function show<Name extends JobName>(name: Name, subject: string, job: Job<JobResult<Name>>): void {
  useJobs.setState((state) => ({ [name]: { ...state[name], [subject]: job } }));
}

export function forgetJob(name: JobName, subject: string): void {
  const { [subject]: gone, ...others } = useJobs.getState()[name];
  if (gone !== undefined && gone.state !== "running") {
    useJobs.setState({ [name]: others });
  }
}

export function cancelJob(name: JobName, subject: string): void {
  aborts.get(`${name} ${subject}`)?.abort();
}

/** Null where it failed, was cancelled, or is under way already; what came of it is in the store. */
export async function startJob<Name extends JobName>(
  name: Name,
  subject: string,
  input: StreamInput<Area, Name>,
): Promise<JobResult<Name> | null> {
  const key = `${name} ${subject}`;
  if (aborts.has(key)) {
    return null;
  }
  const abort = new AbortController();
  aborts.set(key, abort);
  const startedAt = Date.now();
  let phase = { name: "starting", startedAt, startedWith: 0 };
  const progress: CorpusProgressItem = { phase: phase.name, done: 0, total: null, documents: null };
  show(name, subject, { state: "running", progress, startedAt, phaseStartedAt: startedAt, phaseStartedWith: 0 });
  try {
    const onItem = (item: CorpusProgressItem): void => {
      if (item.phase !== phase.name) {
        phase = { name: item.phase, startedAt: Date.now(), startedWith: item.done };
      }
      show(name, subject, {
        state: "running",
        progress: item,
        startedAt,
        phaseStartedAt: phase.startedAt,
        phaseStartedWith: phase.startedWith,
      });
    };
    const result: JobResult<Name> = await client.stream(name, input, onItem, { signal: abort.signal });
    show(name, subject, { state: "done", result, seconds: (Date.now() - startedAt) / 1000 });
    return result;
  } catch (error) {
    show(
      name,
      subject,
      error instanceof CancelledError ? { state: "cancelled" } : { state: "failed", message: messageOf(error) },
    );
    return null;
  } finally {
    aborts.delete(key);
  }
}
