// models.list: every checkpoint of every run. Generation runs in the engine host and is not handled here.

import type { RequestHandlers } from "#shared/ipc/contract";
import type { modelsContract } from "#shared/ipc/models.contract";
import { listCheckpoints } from "../runs/checkpoints.ts";
import { listRuns } from "../runs/status.ts";

export function createModelHandlers(options: { readonly workspace: () => string }): {
  readonly requests: RequestHandlers<typeof modelsContract>;
} {
  return {
    requests: {
      "models.list": async () => {
        const runs = await listRuns(options.workspace());
        const models = await Promise.all(
          runs.map(async (run) => {
            const checkpoints = await listCheckpoints(run.directory).catch(() => []);
            return checkpoints.map((checkpoint) => ({
              source: checkpoint.path,
              run: run.id,
              name: run.name,
              step: checkpoint.step,
            }));
          }),
        );
        return models.flat();
      },
    },
  };
}
