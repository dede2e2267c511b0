import { MessageChannel, type MessagePort } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { AppError } from "#shared/errors";
import { type Port, RemoteCaller, serveHandlers } from "./remote.ts";

const open: MessagePort[] = [];

function ports(): readonly [Port, Port] {
  const { port1, port2 } = new MessageChannel();
  open.push(port1, port2);
  const wrap = (port: MessagePort): Port => ({
    send: (message) => port.postMessage(message),
    listen: (listener) => port.on("message", listener),
  });
  return [wrap(port1), wrap(port2)];
}

afterEach(() => {
  for (const port of open.splice(0)) {
    port.close();
  }
});

const context = (): { abort: AbortController; signal: AbortSignal } => {
  const abort = new AbortController();
  return { abort, signal: abort.signal };
};

describe("handlers served over a port", () => {
  it("answer requests, send items in order, and keep an error's code", async () => {
    const [here, there] = ports();
    serveHandlers(there, {
      requests: {
        double: async (input: { readonly n: number }) => input.n * 2,
        fail: async () => {
          throw new AppError("RUN_NOT_FOUND", "no such run", { hint: "look again" });
        },
      },
      streams: {
        count: async (input: { readonly to: number }, emit: (item: number) => void) => {
          for (let n = 1; n <= input.to; n += 1) {
            emit(n);
          }
          return "done";
        },
      },
    });
    const caller = new RemoteCaller(here, () => undefined);
    expect(await caller.call("double", { n: 21 }, context())).toBe(42);
    await expect(caller.call("fail", {}, context())).rejects.toMatchObject({
      code: "RUN_NOT_FOUND",
      hint: "look again",
    });
    const items: unknown[] = [];
    expect(await caller.call("count", { to: 3 }, context(), (item) => items.push(item))).toBe("done");
    expect(items).toEqual([1, 2, 3]);
    await expect(caller.call("nothing", {}, context())).rejects.toMatchObject({ code: "BUG" });
  });

  it("pass a cancel to the handler, and events back", async () => {
    const [here, there] = ports();
    const heard: unknown[] = [];
    const served = serveHandlers(there, {
      requests: {},
      streams: {
        wait: (_input: unknown, _emit: unknown, { signal }) =>
          new Promise((resolve) => signal.addEventListener("abort", () => resolve("cancelled"), { once: true })),
      },
    });
    const caller = new RemoteCaller(here, (name, payload) => heard.push([name, payload]));
    const { abort, signal } = context();
    const answer = caller.call("wait", {}, { signal });
    abort.abort();
    expect(await answer).toBe("cancelled");
    served.emit("changed", { run: "a" });
    await expect.poll(() => heard).toEqual([["changed", { run: "a" }]]);
  });

  it("fail what is under way when the other side is lost", async () => {
    const [here, there] = ports();
    serveHandlers(there, { requests: { never: () => new Promise(() => undefined) }, streams: {} });
    const caller = new RemoteCaller(here, () => undefined);
    const answer = caller.call("never", {}, context());
    caller.lose(new AppError("ENGINE_LOST", "gone"));
    await expect(answer).rejects.toMatchObject({ code: "ENGINE_LOST" });
  });
});
