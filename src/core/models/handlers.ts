// models.list, which reads directories alone and so is answered beside the runs. What needs the engine (headers, memory,
// lint, export, generation) is answered in the engine host.

import type { RequestHandlers } from "#shared/ipc/contract";
import type { modelsContract } from "#shared/ipc/models.contract";
import { listModels } from "./list.ts";

export function createModelHandlers(options: { readonly workspace: () => string }): {
  readonly requests: Pick<RequestHandlers<typeof modelsContract>, "models.list">;
} {
  return {
    requests: {
      "models.list": async ({ opened }) => listModels(options.workspace(), opened),
    },
  };
}
