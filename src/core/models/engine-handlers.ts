// The models.* requests that read headers or load weights; the engine host serves them, so that a file that lies can at
// worst end that process.

import { rm, stat } from "node:fs/promises";
import type { LintFinding } from "#shared/domain/model";
import { modelDescriptionSchema } from "#shared/domain/model";
import { AppError } from "#shared/errors";
import type { RequestHandlers, StreamHandlers } from "#shared/ipc/contract";
import type { modelsContract } from "#shared/ipc/models.contract";
import { readMachine } from "../planner/machine.ts";
import { modelMemory } from "../planner/model-memory.ts";
import { type DescribedModel, describeModel } from "./describe.ts";
import { exportModel } from "./export.ts";
import { lintTokenizer } from "./lint.ts";
import { lintFit } from "./lint-fit.ts";

type EngineStreams = Pick<StreamHandlers<typeof modelsContract>, "models.export">;
type EngineRequests = Pick<
  RequestHandlers<typeof modelsContract>,
  "models.describe" | "models.forecast" | "models.lint"
>;

const PROGRESS_EVERY_MS = 100;

/** What describeModel finds in the model's own files, without how its tokenizer fits. */
function ownFindings(described: DescribedModel): LintFinding[] {
  const { config, special, tokenizerFacts: facts } = described;
  const fit = new Set(facts === null ? [] : lintTokenizer(config, special, facts).map(({ message }) => message));
  return described.findings.filter(({ code, message }) => code !== "TOKENIZER_MISSING" && !fit.has(message));
}

export function createModelEngineHandlers(options: { readonly workspace: () => string }): {
  readonly requests: EngineRequests;
  readonly streams: EngineStreams;
} {
  const workspace = (): { readonly workspace: string } => ({ workspace: options.workspace() });
  return {
    requests: {
      "models.describe": async ({ model }) => {
        const described = await describeModel(model, workspace());
        return modelDescriptionSchema.parse({
          ...described,
          adapter:
            described.adapter === null
              ? null
              : {
                  base: described.adapter.base,
                  rank: described.adapter.lora.rank,
                  targets: [...described.adapter.lora.targets],
                },
          findings: ownFindings(described),
        });
      },

      "models.forecast": async ({ model, microbatch, context, loraRank }) => {
        const { config } = await describeModel(model, workspace());
        const tokens = Math.min(context ?? config.maxSeqLen, config.maxSeqLen);
        return {
          columns: modelMemory(config, { microbatch, context: tokens, loraRank: Math.min(loraRank, config.dModel) }),
          machineBytes: readMachine().memoryBytes,
          context: tokens,
        };
      },

      "models.lint": async ({ model, tokenizer }) => {
        const fit = await lintFit({ model, tokenizer, ...workspace() });
        return { tokenizer: fit.tokenizer, findings: [...fit.findings] };
      },
    },
    streams: {
      "models.export": async ({ model, format, precision, shardBytes, target }, emit, { signal }) => {
        const { adapter } = await describeModel(model, workspace());
        let saidAt = 0;
        let saidPhase = "";
        const wasThere = (await stat(target).catch(() => null)) !== null;
        const { path, files, comparison } = await exportModel(
          {
            source: model,
            format,
            type: precision,
            target,
            shardBytes: format === "safetensors" ? shardBytes : null,
            mergeAdapter: adapter !== null && format !== "peft",
          },
          {
            ...workspace(),
            signal,
            onProgress: (progress) => {
              const now = performance.now();
              if (progress.phase !== saidPhase || now - saidAt > PROGRESS_EVERY_MS) {
                saidPhase = progress.phase;
                saidAt = now;
                emit(progress);
              }
            },
          },
        ).catch(async (error: unknown) => {
          // What differs is left to be looked at; a half of an export would only stand in the way of the next one.
          if (!wasThere && !(error instanceof AppError && error.code === "EXPORT_DIFFERS")) {
            await rm(target, { recursive: true, force: true });
          }
          throw error;
        });
        return { path, files, comparison };
      },
    },
  };
}
