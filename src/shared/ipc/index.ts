// The whole contract, area by area.
import { appContract } from "./app.contract.ts";
import { corporaContract } from "./corpora.contract.ts";
import { modelsContract } from "./models.contract.ts";
import { recipesContract } from "./recipes.contract.ts";
import { runsContract } from "./runs.contract.ts";
import { tokenizersContract } from "./tokenizers.contract.ts";

export const contract = {
  requests: {
    ...appContract.requests,
    ...runsContract.requests,
    ...recipesContract.requests,
    ...tokenizersContract.requests,
    ...modelsContract.requests,
    ...corporaContract.requests,
  },
  events: {
    ...appContract.events,
    ...runsContract.events,
    ...recipesContract.events,
    ...tokenizersContract.events,
    ...modelsContract.events,
    ...corporaContract.events,
  },
  streams: {
    ...appContract.streams,
    ...runsContract.streams,
    ...recipesContract.streams,
    ...tokenizersContract.streams,
    ...modelsContract.streams,
    ...corporaContract.streams,
  },
} as const;

export type Contract = typeof contract;
