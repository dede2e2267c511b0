// The form of the contract between the window and core: requests answered once, events that anyone may hear, and
// streams that yield items until they end or are cancelled. Handler types and clients are derived from it, so a
// channel is written once and a missing handler does not compile.
import type { z } from "zod";
import type { ErrorEnvelope } from "../errors.ts";

export type RequestContract = { readonly input: z.ZodType; readonly output: z.ZodType };
/** Items are queued in order; a stream says in its doc comment what happens when its reader is slow. */
export type StreamContract = { readonly input: z.ZodType; readonly item: z.ZodType; readonly output: z.ZodType };
export type AreaContract = {
  readonly requests: Readonly<Record<string, RequestContract>>;
  readonly events: Readonly<Record<string, z.ZodType>>;
  readonly streams: Readonly<Record<string, StreamContract>>;
};

export type RequestName<C extends AreaContract> = keyof C["requests"] & string;
export type EventName<C extends AreaContract> = keyof C["events"] & string;
export type StreamName<C extends AreaContract> = keyof C["streams"] & string;

export type RequestInput<C extends AreaContract, N extends RequestName<C>> = z.input<C["requests"][N]["input"]>;
export type RequestOutput<C extends AreaContract, N extends RequestName<C>> = z.output<C["requests"][N]["output"]>;
export type EventPayload<C extends AreaContract, N extends EventName<C>> = z.output<C["events"][N]>;
export type StreamInput<C extends AreaContract, N extends StreamName<C>> = z.input<C["streams"][N]["input"]>;
export type StreamItem<C extends AreaContract, N extends StreamName<C>> = z.output<C["streams"][N]["item"]>;
export type StreamOutput<C extends AreaContract, N extends StreamName<C>> = z.output<C["streams"][N]["output"]>;

/** Main always answers one of these; it never rejects across IPC, because Electron drops custom error fields. */
export type Envelope<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: ErrorEnvelope };

/** The part of AbortSignal that handlers use; named here because this layer knows neither Node nor the DOM. */
export type CancelSignal = {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
};
export type HandlerContext = { readonly signal: CancelSignal };

export type RequestHandlers<C extends AreaContract> = {
  readonly [N in RequestName<C>]: (
    input: z.output<C["requests"][N]["input"]>,
    context: HandlerContext,
  ) => Promise<RequestOutput<C, N>>;
};
export type StreamHandlers<C extends AreaContract> = {
  readonly [N in StreamName<C>]: (
    input: z.output<C["streams"][N]["input"]>,
    emit: (item: StreamItem<C, N>) => void,
    context: HandlerContext,
  ) => Promise<StreamOutput<C, N>>;
};
export type Handlers<C extends AreaContract> = {
  readonly requests: RequestHandlers<C>;
  readonly streams: StreamHandlers<C>;
};
