// The store against a bridge held in memory: tokens in, text and states out.
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { ErrorEnvelope } from "#shared/errors";
import type { StreamAnswer } from "#shared/ipc/bridge";
import { continuationText } from "./stream-text.ts";

type Item = {
  readonly text: string;
  readonly id: number;
  readonly logprob: number;
  readonly index: number;
  readonly sample: number;
  readonly alternatives: readonly { readonly id: number; readonly text: string; readonly logprob: number }[];
};
type Ending = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: ErrorEnvelope };

let emit: (item: Item) => void = () => undefined;
let end: (ending: Ending) => void = () => undefined;
const asked: Record<string, unknown>[] = [];
const cancelled: string[] = [];
let streamId = "";
let sentCount = 0;

const done: Ending = {
  ok: true,
  value: { promptTokens: 2, newTokens: 2, promptSeconds: 0.01, seconds: 0.02, stopReason: "length" },
};

vi.stubGlobal("requestAnimationFrame", (run: () => void) => setTimeout(run, 0));
vi.stubGlobal("cancelAnimationFrame", (timer: number) => clearTimeout(timer));
vi.stubGlobal("window", {
  matchMedia: () => ({ matches: false }),
  assay: {
    request: async () => ({
      ok: true,
      value: [
        { source: "/c/10", run: "20260101-000000-tiny-aaaa", name: "tiny", step: 10, family: "gpt2", problem: null },
        { source: "/b", run: null, name: "bert", step: null, family: "bert", problem: null },
        { source: "/gone", run: null, name: "gone", step: null, family: "gpt2", problem: "It is not there any more." },
        { source: "/c/9", run: "20260101-000000-tiny-aaaa", name: "tiny", step: 9, family: "gpt2", problem: null },
      ],
    }),
    onItem: (listener: (id: string, item: Item) => void) => {
      emit = (item) => {
        sentCount += 1;
        listener(streamId, item);
      };
      return () => undefined;
    },
    cancelStream: (id: string) => cancelled.push(id),
    stream: (id: string, _name: string, input: Record<string, unknown>) => {
      streamId = id;
      asked.push(input);
      sentCount = 0;
      return new Promise<StreamAnswer>((resolve) => {
        end = (envelope) => resolve({ envelope, itemCount: sentCount });
      });
    },
  },
});
const { usePlayground } = await import("./store.ts");
const pristine = usePlayground.getState();
const store = () => usePlayground.getState();
const token = (index: number, text: string, sample = 0): Item => ({
  index,
  text,
  id: index,
  logprob: -1,
  sample,
  alternatives: [],
});

beforeEach(async () => {
  usePlayground.setState(pristine, true);
  asked.length = 0;
  cancelled.length = 0;
  await store().loadModels();
  store().setPrompt("The patients");
});

describe("usePlayground", () => {
  it("speaks with the newest checkpoint unless another is chosen", async () => {
    expect(store().source).toBe("/c/10");
    store().chooseCheckpoint("/c/9");
    await store().loadModels();
    expect(store().source).toBe("/c/9");
  });

  it("streams tokens into the continuation and ends with its figures", async () => {
    const writing = store().writeOn();
    expect(store().generation.state).toBe("waiting");
    emit(token(0, " were"));
    await vi.waitFor(() => expect(store().generation.state).toBe("streaming"));
    emit(token(1, " seen"));
    end(done);
    await writing;
    expect(continuationText(store().continuation)).toBe(" were seen");
    expect(store().generation).toMatchObject({ state: "done", result: { newTokens: 2 } });
    expect(asked[0]).toMatchObject({ model: "/c/10", prompt: "The patients", seed: 17 });
  });

  it("takes the items that an answer has overtaken", async () => {
    const writing = store().writeOn();
    emit(token(0, " were"));
    sentCount = 2;
    end(done);
    await new Promise((resolve) => setTimeout(resolve, 20));
    emit(token(1, " seen"));
    await writing;
    expect(continuationText(store().continuation)).toBe(" were seen");
  });

  it("goes on after what it wrote, and forgets it when the prompt was changed since", async () => {
    const write = async () => {
      const writing = store().writeOn();
      emit(token(0, " were"));
      end(done);
      await writing;
    };
    await write();
    await write();
    expect(store().prompt).toBe("The patients were");
    store().setPrompt("A new text");
    await write();
    expect(asked.map((input) => input["prompt"])).toEqual(["The patients", "The patients were", "A new text"]);
  });

  it("writes another continuation of the same prompt with the next seed", async () => {
    const first = store().writeOn();
    end(done);
    await first;
    const second = store().writeAnother();
    end(done);
    await second;
    expect(asked.map((input) => [input["prompt"], input["seed"]])).toEqual([
      ["The patients", 17],
      ["The patients", 18],
    ]);
  });

  it("keeps the text when the engine is lost, and writes it again with the same seed", async () => {
    const writing = store().writeOn();
    emit(token(0, " half"));
    end({ ok: false, error: { code: "ENGINE_LOST", message: "The engine host ended." } });
    await writing;
    expect(store().generation).toEqual({ state: "failed", message: "The engine host ended." });
    expect([store().prompt, continuationText(store().continuation)]).toEqual(["The patients", " half"]);
    const again = store().writeAgain();
    end(done);
    await again;
    expect(asked[1]).toEqual(asked[0]);
  });

  it("cancels at the source when stopped and keeps what came", async () => {
    const writing = store().writeOn();
    emit(token(0, " were"));
    store().stop();
    expect(cancelled).toEqual([streamId]);
    end({ ok: false, error: { code: "CANCELLED", message: "" } });
    await writing;
    expect([store().generation.state, continuationText(store().continuation)]).toEqual(["stopped", " were"]);
  });

  it("branches before the chosen word", async () => {
    const writing = store().writeOn();
    emit(token(0, " were"));
    emit(token(1, " seen"));
    end(done);
    await writing;
    store().selectWord(1);
    const branch = store().branchHere();
    end(done);
    await branch;
    expect(asked[1]).toMatchObject({ prompt: "The patients were", seed: 18 });
  });

  it("puts an alternative in the place of the chosen word and writes on from there", async () => {
    const writing = store().writeOn();
    emit(token(0, " were"));
    emit(token(1, " seen"));
    end(done);
    await writing;
    store().selectWord(1);
    const branch = store().branchWith(" treated");
    end(done);
    await branch;
    expect(asked[1]).toMatchObject({ prompt: "The patients were treated", seed: 18 });
  });

  it("keeps several samples apart and shows the chosen one", async () => {
    store().setSampling({ samples: "2", repetitionPenalty: "1.2", weights: "int8" });
    const writing = store().writeOn();
    emit(token(0, " were", 0));
    emit(token(0, " had", 1));
    emit(token(1, " seen", 0));
    end(done);
    await writing;
    expect(asked[0]).toMatchObject({ samples: 2, repetitionPenalty: 1.2, weights: "int8" });
    expect(continuationText(store().continuation)).toBe(" were seen");
    store().chooseSample(1);
    expect(continuationText(store().continuation)).toBe(" had");
    const on = store().writeOn();
    end(done);
    await on;
    expect(asked[1]).toMatchObject({ prompt: "The patients had" });
  });

  it("lists the models that write and can be read", () => {
    expect(store().models?.map((choice) => choice.key)).toEqual(["20260101-000000-tiny-aaaa"]);
  });

  it("asks for nothing while the sampling form has a mistake", async () => {
    store().setSampling({ topP: "2" });
    await store().writeOn();
    expect(asked).toEqual([]);
  });
});
