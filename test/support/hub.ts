// A model hub on this machine: lists repositories and gives their files as the public one does, and misbehaves on demand.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type HubFile = { readonly content: Buffer; readonly isLarge?: boolean };

export type LocalHub = AsyncDisposable & {
  readonly endpoint: string;
  /** Every request since the start, in order. */
  readonly requests: { readonly url: string; readonly range: string | null; readonly token: string | null }[];
  /** How the next answers are; a test changes it as it goes. */
  readonly behaviour: {
    /** Ends the connection after so many bytes of a file, for so many requests. */
    cutAfterBytes: number;
    cuts: number;
    ignoresRanges: boolean;
    /** Another content than the list says, of the same length. */
    liesAbout: string | null;
    /** Sends the next file in pieces with pauses, so that there is time to kill whoever fetches. */
    isSlow: boolean;
    status: number | null;
    /** Files are given at this address instead, by a redirect. */
    redirectTo: string | null;
    extraNames: string[];
    answer: string | null;
  };
};

export const commit = "0123456789abcdef0123456789abcdef01234567";

function listing(name: string, files: Readonly<Record<string, HubFile>>, extraNames: readonly string[]): string {
  const siblings = Object.entries(files).map(([rfilename, { content, isLarge }]) => {
    const blob = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
    const sha256 = createHash("sha256").update(content).digest("hex");
    return isLarge === true
      ? {
          rfilename,
          size: content.length,
          blobId: "f".repeat(40),
          lfs: { sha256, size: content.length, pointerSize: 134 },
        }
      : { rfilename, size: content.length, blobId: blob };
  });
  const extra = extraNames.map((rfilename) => ({ rfilename, size: 1, blobId: "a".repeat(40) }));
  return JSON.stringify({ id: name, sha: commit, gated: false, siblings: [...siblings, ...extra] });
}

/** Starts one with a repository `org/tiny`; `await using` stops it. */
export async function startHub(files: Readonly<Record<string, HubFile>>): Promise<LocalHub> {
  const requests: LocalHub["requests"] = [];
  const behaviour: LocalHub["behaviour"] = {
    cutAfterBytes: 0,
    cuts: 0,
    ignoresRanges: false,
    liesAbout: null,
    isSlow: false,
    status: null,
    redirectTo: null,
    extraNames: [],
    answer: null,
  };
  const give = (request: IncomingMessage, response: ServerResponse, name: string): void => {
    const file = files[name];
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    const content = behaviour.liesAbout === name ? Buffer.alloc(file.content.length, "x") : file.content;
    const asked = behaviour.ignoresRanges ? null : /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const begin = asked === null ? 0 : Number(asked[1]);
    if (begin > content.length) {
      response.writeHead(416).end();
      return;
    }
    const body = content.subarray(begin);
    response.writeHead(asked === null ? 200 : 206, {
      "content-length": body.length,
      ...(asked === null ? {} : { "content-range": `bytes ${begin}-${content.length - 1}/${content.length}` }),
    });
    if (behaviour.cuts > 0 && body.length > behaviour.cutAfterBytes) {
      behaviour.cuts -= 1;
      response.write(body.subarray(0, behaviour.cutAfterBytes), () => {
        setTimeout(() => response.destroy(), 20);
      });
      return;
    }
    if (behaviour.isSlow) {
      let at = 0;
      const timer = setInterval(() => {
        response.write(body.subarray(at, at + 16_384));
        at += 16_384;
        if (at >= body.length || response.destroyed) {
          clearInterval(timer);
          response.end();
        }
      }, 10);
      return;
    }
    response.end(body);
  };
  const server: Server = createServer((request, response) => {
    const url = request.url ?? "";
    requests.push({ url, range: request.headers.range ?? null, token: request.headers.authorization ?? null });
    if (behaviour.status !== null) {
      response.writeHead(behaviour.status).end("no");
    } else if (url.startsWith("/api/models/")) {
      response
        .writeHead(url.startsWith("/api/models/org/tiny/revision/") ? 200 : 404)
        .end(behaviour.answer ?? listing("org/tiny", files, behaviour.extraNames));
    } else if (behaviour.redirectTo !== null) {
      response.writeHead(302, { location: `${behaviour.redirectTo}${url}` }).end();
    } else {
      give(request, response, decodeURIComponent(url.replace(/^\/org\/tiny\/resolve\/[0-9a-f]{40}\//, "")));
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  // as: a server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    behaviour,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
