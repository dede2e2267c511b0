// The one file that speaks ipcMain. Every message's sender is checked, every input parsed by the contract, and every
// answer is an envelope: Electron would drop the fields of a rejected error.
import { type BrowserWindow, type IpcMainEvent, type IpcMainInvokeEvent, ipcMain } from "electron";
import { AppError, toErrorEnvelope } from "#shared/errors";
import { channels, type StreamAnswer } from "#shared/ipc/bridge";
import type { Envelope, HandlerContext } from "#shared/ipc/contract";
import { type Contract, contract } from "#shared/ipc/index";
import { appOrigin } from "./app-protocol.ts";

export type AnyHandler = (
  input: never,
  context: HandlerContext & { readonly emit: (item: unknown) => void },
) => Promise<unknown>;

export type MainHandlers = {
  readonly requests: Readonly<Record<keyof Contract["requests"], AnyHandler>>;
  readonly streams: Readonly<Record<keyof Contract["streams"], AnyHandler>>;
};

function isOurs(event: IpcMainEvent | IpcMainInvokeEvent): boolean {
  const frame = event.senderFrame;
  return frame !== null && frame.parent === null && frame.url.startsWith(`${appOrigin}/`);
}

async function answer(
  kind: "requests" | "streams",
  name: unknown,
  input: unknown,
  handlers: Readonly<Record<string, AnyHandler>>,
  context: HandlerContext & { readonly emit: (item: unknown) => void },
): Promise<Envelope<unknown>> {
  try {
    const entries: Readonly<Record<string, { readonly input: { safeParse(value: unknown): SafeParsed } }>> =
      contract[kind];
    const entry = typeof name === "string" ? entries[name] : undefined;
    const handler = typeof name === "string" ? handlers[name] : undefined;
    if (entry === undefined || handler === undefined) {
      throw new AppError("BAD_ARGUMENT", `There is no ${kind === "requests" ? "request" : "stream"} ${String(name)}.`);
    }
    const parsed = entry.input.safeParse(input);
    if (!parsed.success) {
      throw new AppError(
        "BAD_ARGUMENT",
        `${String(name)} was asked with ${parsed.error?.issues[0]?.message ?? "wrong input"}.`,
      );
    }
    // as: the value was parsed by the schema this handler's type was derived from.
    return { ok: true, value: await handler(parsed.data as never, context) };
  } catch (error) {
    return { ok: false, error: toErrorEnvelope(error) };
  }
}

type SafeParsed = {
  readonly success: boolean;
  readonly data?: unknown;
  readonly error?: { readonly issues: readonly { readonly message: string }[] };
};

export function serveWindow(
  window: () => BrowserWindow | null,
  handlers: MainHandlers,
): { emit(name: string, payload: unknown): void } {
  const streams = new Map<string, AbortController>();
  const refused: Envelope<unknown> = {
    ok: false,
    error: { code: "BAD_ARGUMENT", message: "This sender is not Assay's window." },
  };

  ipcMain.handle(channels.request, async (event, name: unknown, input: unknown) => {
    const abort = new AbortController();
    return isOurs(event)
      ? answer("requests", name, input, handlers.requests, { signal: abort.signal, emit: () => undefined })
      : refused;
  });

  ipcMain.handle(channels.stream, async (event, id: unknown, name: unknown, input: unknown): Promise<StreamAnswer> => {
    if (!isOurs(event) || typeof id !== "string" || streams.has(id)) {
      return { envelope: refused, itemCount: 0 };
    }
    const abort = new AbortController();
    streams.set(id, abort);
    const sender = event.sender;
    // A window that reloads or closes no longer reads its streams; one that only goes to another view still does.
    const end = (): void => abort.abort();
    const endOnReload = (details: { readonly isMainFrame: boolean; readonly isSameDocument: boolean }): void => {
      if (details.isMainFrame && !details.isSameDocument) {
        end();
      }
    };
    sender.once("destroyed", end);
    sender.on("did-start-navigation", endOnReload);
    let itemCount = 0;
    try {
      const envelope = await answer("streams", name, input, handlers.streams, {
        signal: abort.signal,
        emit: (item) => {
          if (!sender.isDestroyed()) {
            itemCount += 1;
            sender.send(channels.streamItem, id, item);
          }
        },
      });
      return { envelope, itemCount };
    } finally {
      streams.delete(id);
      if (!sender.isDestroyed()) {
        sender.off("destroyed", end);
        sender.off("did-start-navigation", endOnReload);
      }
    }
  });

  ipcMain.on(channels.streamCancel, (event, id: unknown) => {
    if (isOurs(event) && typeof id === "string") {
      streams.get(id)?.abort();
    }
  });

  return {
    emit: (name, payload) => {
      const target = window();
      if (target !== null && !target.isDestroyed()) {
        target.webContents.send(channels.event, name, payload);
      }
    },
  };
}
