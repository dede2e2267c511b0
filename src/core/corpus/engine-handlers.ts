// The corpora.* requests that need a tokenizer or a token cache, and so the engine: the engine host serves them.
import type { RequestHandlers, StreamHandlers } from "#shared/ipc/contract";
import type { corporaContract } from "#shared/ipc/corpora.contract";
import { loadTokenizer } from "../tokenizer/load.ts";
import { coalesced } from "./progress.ts";
import { corpusStatistics, statisticsGroups } from "./statistics.ts";
import { traceRun } from "./trace-run.ts";

type Contract = typeof corporaContract;

export function createCorpusEngineHandlers(options: { readonly workspace: () => string }): {
  readonly requests: Pick<RequestHandlers<Contract>, "corpora.trace">;
  readonly streams: Pick<StreamHandlers<Contract>, "corpora.statistics">;
} {
  return {
    requests: {
      "corpora.trace": async (input) => {
        const place = "token" in input ? { token: input.token } : { step: input.step, sequence: input.sequence };
        const trace = await traceRun(options.workspace(), input.run, place);
        return { ...trace, documents: [...trace.documents] };
      },
    },
    streams: {
      "corpora.statistics": async ({ inputs, tokenizer, detectLanguages, textFields, top }, emit, { signal }) => {
        const send = coalesced(emit);
        const statistics = await corpusStatistics({
          inputs,
          tokenizer: tokenizer === null ? null : await loadTokenizer(tokenizer, { workspace: options.workspace() }),
          detectLanguages,
          textFields,
          signal,
          onProgress: ({ done, total }) => send({ phase: "counting", done, total, documents: null }),
        });
        const cut = Object.fromEntries(
          statisticsGroups.map((group) => [group, statistics.groups[group].slice(0, top)]),
        );
        // as: made from the list of all groups.
        return {
          ...statistics,
          groups: cut as Record<
            (typeof statisticsGroups)[number],
            { name: string; documents: number; words: number; tokens: number | null }[]
          >,
        };
      },
    },
  };
}
