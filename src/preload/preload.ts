// Builds the bridge: the only door between the window and the rest. It passes messages and knows no names; main checks
// the sender and every input.
import { contextBridge, type IpcRendererEvent, ipcRenderer, webUtils } from "electron";
import { type Bridge, channels } from "#shared/ipc/bridge";

function listen(channel: string, listener: (...values: never[]) => void): () => void {
  const heard = (_event: IpcRendererEvent, ...values: unknown[]): void => {
    // as: main sends these channels with exactly the values the bridge's types say.
    listener(...(values as never[]));
  };
  ipcRenderer.on(channel, heard);
  return () => ipcRenderer.off(channel, heard);
}

const bridge: Bridge = {
  request: (name, input) => ipcRenderer.invoke(channels.request, name, input),
  stream: (id, name, input) => ipcRenderer.invoke(channels.stream, id, name, input),
  cancelStream: (id) => ipcRenderer.send(channels.streamCancel, id),
  onItem: (listener) => listen(channels.streamItem, listener),
  onEvent: (listener) => listen(channels.event, listener),
  pathOfFile: (file) => {
    try {
      // as: the window passes a File of its own; anything else throws here.
      return webUtils.getPathForFile(file as File);
    } catch {
      return "";
    }
  },
  platform: process.platform,
};
contextBridge.exposeInMainWorld("assay", bridge);
