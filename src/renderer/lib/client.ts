// The window's side of the contract: typed requests, events and streams over the preload bridge.
import { type ErrorCode, type ErrorEnvelope, fromErrorEnvelope } from "#shared/errors";
import type { Bridge } from "#shared/ipc/bridge";
import type {
  EventName,
  EventPayload,
  RequestInput,
  RequestName,
  RequestOutput,
  StreamInput,
  StreamItem,
  StreamName,
  StreamOutput,
} from "#shared/ipc/contract";
import type { Contract } from "#shared/ipc/index";

declare global {
  interface Window {
    readonly assay: Bridge;
  }
}

/** The reader's own choice, never shown as a failure. */
export class CancelledError extends Error {
  constructor() {
    super("Cancelled.");
    this.name = "CancelledError";
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function codeOf(error: unknown): ErrorCode | null {
  return error instanceof Error && "code" in error ? (error.code as ErrorCode) : null;
}

function raise(error: ErrorEnvelope): never {
  throw error.code === "CANCELLED" ? new CancelledError() : fromErrorEnvelope(error);
}

const itemListeners = new Map<string, (item: unknown) => void>();
let isListening = false;

function listenToItems(): void {
  if (!isListening) {
    isListening = true;
    window.assay.onItem((id, item) => itemListeners.get(id)?.(item));
  }
}

export const client = {
  /** Throws an AppError with the handler's code and sentence. */
  async request<N extends RequestName<Contract>>(
    name: N,
    input: RequestInput<Contract, N>,
  ): Promise<RequestOutput<Contract, N>> {
    const envelope = await window.assay.request(name, input);
    // as: main answers with what the contract says for this name.
    return envelope.ok ? (envelope.value as RequestOutput<Contract, N>) : raise(envelope.error);
  },

  /** Returns a function that ends the listening. */
  subscribe<N extends EventName<Contract>>(
    name: N,
    listener: (payload: EventPayload<Contract, N>) => void,
  ): () => void {
    return window.assay.onEvent((heard, payload) => {
      if (heard === name) {
        // as: main sends this event with the contract's payload.
        listener(payload as EventPayload<Contract, N>);
      }
    });
  },

  /** Items arrive in order; the promise settles when the stream has ended. An aborted signal cancels it at its source. */
  async stream<N extends StreamName<Contract>>(
    name: N,
    input: StreamInput<Contract, N>,
    onItem: (item: StreamItem<Contract, N>) => void,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<StreamOutput<Contract, N>> {
    listenToItems();
    const id = crypto.randomUUID();
    let receivedCount = 0;
    let expectedCount = Number.POSITIVE_INFINITY;
    let settle = (): void => undefined;
    itemListeners.set(id, (item) => {
      receivedCount += 1;
      // as: main sends this stream's items as the contract says.
      onItem(item as StreamItem<Contract, N>);
      if (receivedCount >= expectedCount) {
        settle();
      }
    });
    const cancel = (): void => window.assay.cancelStream(id);
    options.signal?.addEventListener("abort", cancel, { once: true });
    try {
      const answer = window.assay.stream(id, name, input);
      if (options.signal?.aborted === true) {
        cancel();
      }
      const { envelope, itemCount } = await answer;
      // The answer may have overtaken the last items.
      if (receivedCount < itemCount) {
        expectedCount = itemCount;
        await new Promise<void>((resolve) => {
          settle = resolve;
        });
      }
      // as: as above.
      return envelope.ok ? (envelope.value as StreamOutput<Contract, N>) : raise(envelope.error);
    } finally {
      options.signal?.removeEventListener("abort", cancel);
      itemListeners.delete(id);
    }
  },
};
