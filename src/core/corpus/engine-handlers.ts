// The corpora.* requests that need a tokenizer or a token cache, and so the engine: the engine host serves them.
import path from "node:path";
import type { RequestHandlers, StreamHandlers } from "#shared/ipc/contract";
import type { corporaContract } from "#shared/ipc/corpora.contract";
import { loadTokenizer } from "../tokenizer/load.ts";
import { parseCompression } from "./mds/compression.ts";
import { shardCorpus } from "./mds/write-corpus.ts";
import { coalesced } from "./progress.ts";
import { corpusStatistics, statisticsGroups } from "./statistics.ts";
import { traceRun } from "./trace-run.ts";

type Contract = typeof corporaContract;

export function createCorpusEngineHandlers(options: { readonly workspace: () => string }): {
  readonly requests: Pick<RequestHandlers<Contract>, "corpora.trace">;
  readonly streams: Pick<StreamHandlers<Contract>, "corpora.statistics" | "corpora.shard">;
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
      "corpora.shard": async ({ inputs, folder, tokenizer, compression, sizeLimitBytes }, emit, { signal }) => {
        const send = coalesced(emit);
        const isPath = folder.includes("/") || folder.includes(path.sep);
        return shardCorpus({
          inputs,
          directory: isPath ? folder : path.join(options.workspace(), "corpora", folder),
          tokenizer: tokenizer === null ? null : await loadTokenizer(tokenizer, { workspace: options.workspace() }),
          compression: compression === null ? null : parseCompression(compression, "the form"),
          hashes: ["sha1"],
          sizeLimitBytes,
          signal,
          onProgress: ({ done, total }) => send({ phase: "sharding", done, total, documents: null }),
        });
      },

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
