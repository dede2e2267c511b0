// A server on this machine that hands out a folder as the network would on a bad day: some answers are refusals, some break
// off in the middle, and some hold a byte that is another.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";

type Served = { readonly content: Uint8Array; readonly etag: string };

/** By the number of the request, so that every round meets the same ones. */
function faultOf(request: number): "none" | "refused" | "cut" | "wrong" {
  switch (request % 12) {
    case 2:
    case 8:
      return "refused";
    case 4:
    case 10:
      return "cut";
    case 6:
      return "wrong";
    default:
      return "none";
  }
}

function withWrongByte(content: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(content);
  const middle = changed.length >> 1;
  changed[middle] = (changed[middle] ?? 0) ^ 1;
  return changed;
}

function answerTo(request: IncomingMessage, answer: ServerResponse, served: Served | undefined, number: number): void {
  const fault = faultOf(number);
  if (served === undefined || fault === "refused") {
    answer.writeHead(served === undefined ? 404 : 503).end();
    return;
  }
  const { content, etag } = served;
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
  const from = Math.min(Number(range ?? 0), content.length);
  const part = content.subarray(from);
  answer.writeHead(range === undefined ? 200 : 206, {
    etag,
    "content-length": part.length,
    ...(range === undefined ? {} : { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
  });
  if (fault === "cut") {
    answer.write(part.subarray(0, part.length >> 1), () => answer.destroy());
  } else {
    answer.end(fault === "wrong" ? withWrongByte(part) : part);
  }
}

export type StreamServer = { readonly address: string; close(): Promise<void> };

/** The index is always handed out as it is: what it says is what the rest is held to. */
export async function serveFolder(folder: string): Promise<StreamServer> {
  const files = new Map<string, Served>();
  for (const name of await readdir(folder)) {
    const content = await readFile(path.join(folder, name));
    files.set(`/${name}`, { content, etag: `"${createHash("sha1").update(content).digest("hex")}"` });
  }
  let requests = 0;
  const server = createServer((request, answer) => {
    const url = request.url ?? "";
    requests += url === "/index.json" ? 0 : 1;
    answerTo(request, answer, files.get(url), url === "/index.json" ? 0 : requests);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // as: a server that listens at a port has such an address.
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
