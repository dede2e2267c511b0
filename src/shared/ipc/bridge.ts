// The bridge the preload script puts into the window as `window.assay`, and the channels it speaks on. The window's
// client gives it types from the contract; the bridge itself only carries.
import type { Envelope } from "./contract.ts";

export const channels = {
  request: "assay:request",
  stream: "assay:stream",
  streamItem: "assay:stream-item",
  streamCancel: "assay:stream-cancel",
  event: "assay:event",
} as const;

export type StreamAnswer = { readonly envelope: Envelope<unknown>; readonly itemCount: number };

export type Bridge = {
  request(name: string, input: unknown): Promise<Envelope<unknown>>;
  /**
   * `id` is the caller's own; items of this stream come to `onItem` with it. Answers and items travel on different
   * channels, so an answer may overtake the last items: it says how many were sent.
   */
  stream(id: string, name: string, input: unknown): Promise<StreamAnswer>;
  cancelStream(id: string): void;
  /** Each returns a function that ends the listening. */
  onItem(listener: (id: string, item: unknown) => void): () => void;
  onEvent(listener: (name: string, payload: unknown) => void): () => void;
  /** Where a file or folder that was dropped on the window lies; empty for what is no file of this machine. */
  pathOfFile(file: object): string;
  readonly platform: string;
};
