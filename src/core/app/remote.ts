// Handlers that run in another process or thread, over any port that carries cloneable messages: requests answered
// once, streams with items and a cancel, and events from the other side. The engine host and the runs worker serve
// their handlers with it; main calls them.
import { AppError, fromErrorEnvelope, toErrorEnvelope } from "#shared/errors";
import type { Envelope, HandlerContext } from "#shared/ipc/contract";

type AnyRequest = (input: never, context: HandlerContext) => Promise<unknown>;
type AnyStream = (input: never, emit: (item: unknown) => void, context: HandlerContext) => Promise<unknown>;
export type ServedHandlers = {
  readonly requests: Readonly<Record<string, AnyRequest>>;
  readonly streams: Readonly<Record<string, AnyStream>>;
};

type CallMessage =
  | { readonly kind: "call"; readonly id: number; readonly name: string; readonly input: unknown }
  | { readonly kind: "cancel"; readonly id: number };
type AnswerMessage =
  | { readonly kind: "item"; readonly id: number; readonly item: unknown }
  | { readonly kind: "answer"; readonly id: number; readonly envelope: Envelope<unknown> }
  | { readonly kind: "event"; readonly name: string; readonly payload: unknown };

export type Port = {
  send(message: unknown): void;
  /** Hears every message of the other side. */
  listen(listener: (message: unknown) => void): void;
};

/** The serving side. `emit` of its answer sends an event to the caller. */
export function serveHandlers(port: Port, handlers: ServedHandlers): { emit(name: string, payload: unknown): void } {
  const running = new Map<number, AbortController>();
  const answer = (message: AnswerMessage): void => port.send(message);
  const call = async (message: Extract<CallMessage, { kind: "call" }>): Promise<void> => {
    const { id, name, input } = message;
    const abort = new AbortController();
    running.set(id, abort);
    try {
      const request = handlers.requests[name];
      const stream = handlers.streams[name];
      let value: unknown;
      // as: input and item were checked against the contract by main, which knows their schema.
      if (request !== undefined) {
        value = await request(input as never, { signal: abort.signal });
      } else if (stream !== undefined) {
        value = await stream(input as never, (item) => answer({ kind: "item", id, item }), { signal: abort.signal });
      } else {
        throw new AppError("BUG", `Nothing answers ${name} here.`);
      }
      answer({ kind: "answer", id, envelope: { ok: true, value } });
    } catch (error) {
      answer({ kind: "answer", id, envelope: { ok: false, error: toErrorEnvelope(error) } });
    } finally {
      running.delete(id);
    }
  };
  port.listen((raw) => {
    // as: only our own main process holds the other end of this port.
    const message = raw as CallMessage;
    if (message.kind === "call") {
      void call(message);
    } else {
      running.get(message.id)?.abort();
    }
  });
  return { emit: (name, payload) => answer({ kind: "event", name, payload }) };
}

type Pending = {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onItem: ((item: unknown) => void) | undefined;
};

/** The calling side. `lose` fails whatever is under way, when the other side has ended. */
export class RemoteCaller {
  readonly #port: Port;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  constructor(port: Port, onEvent: (name: string, payload: unknown) => void) {
    this.#port = port;
    port.listen((raw) => {
      // as: only our own host holds the other end of this port.
      const message = raw as AnswerMessage;
      if (message.kind === "event") {
        onEvent(message.name, message.payload);
        return;
      }
      const pending = this.#pending.get(message.id);
      if (pending === undefined) {
        return;
      }
      if (message.kind === "item") {
        pending.onItem?.(message.item);
        return;
      }
      this.#pending.delete(message.id);
      if (message.envelope.ok) {
        pending.resolve(message.envelope.value);
      } else {
        pending.reject(fromErrorEnvelope(message.envelope.error));
      }
    });
  }

  call(name: string, input: unknown, context: HandlerContext, onItem?: (item: unknown) => void): Promise<unknown> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onItem });
      this.#port.send({ kind: "call", id, name, input });
      const cancel = (): void => this.#port.send({ kind: "cancel", id });
      if (context.signal.aborted) {
        cancel();
      } else {
        context.signal.addEventListener("abort", cancel, { once: true });
      }
    });
  }

  lose(error: Error): void {
    for (const pending of this.#pending.values()) {
      pending.reject(error);
    }
    this.#pending.clear();
  }
}
