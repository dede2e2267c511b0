// An object store on this machine that speaks as S3 does: it checks signatures, clocks and regions, knows Range and
// If-Match, and lists by pages. It fails on demand: each request takes the next fault, if there is one.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isSigned, parseAuthorization } from "./aws-signature.ts";

export type Fault =
  | { readonly kind: "none" }
  /** The connection ends without an answer. */
  | { readonly kind: "drop" }
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body: string;
      readonly headers?: Record<string, string>;
    }
  /** The body ends after so many bytes: with the connection, or in silence. */
  | { readonly kind: "cut" | "stall"; readonly afterBytes: number }
  /** One byte of the body is another, and nothing tells. */
  | { readonly kind: "wrong"; readonly atByte: number }
  | { readonly kind: "slow"; readonly pauseMs: number };

export type ObjectStore = AsyncDisposable & {
  readonly endpoint: string;
  readonly faults: Fault[];
  readonly requests: { readonly url: string; readonly headers: IncomingMessage["headers"] }[];
  readonly settings: { region: string; clockAheadMs: number; sessionToken: string | null; knowsIfMatch: boolean };
  /** Of bodies, handed to connections. */
  readonly sent: { bytes: number };
  put(key: string, content: Uint8Array): void;
};

export const storeKey = { id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" } as const;
const BUCKET = "texts";
const PAGE_SIZE = 1000;
const PIECE_BYTES = 64 * 1024;

export function refusal(code: string, extra = ""): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>so</Message>${extra}</Error>`;
}

type Stored = { readonly content: Uint8Array; readonly etag: string };
type Refusal = readonly [status: number, code: string, extra?: string];

function refuse(request: IncomingMessage, settings: ObjectStore["settings"]): Refusal | null {
  const authorization = parseAuthorization(request.headers.authorization ?? "");
  if (authorization === null) {
    return [403, "AccessDenied"];
  }
  if (authorization.keyId !== storeKey.id) {
    return [403, "InvalidAccessKeyId"];
  }
  if (authorization.region !== settings.region) {
    return [400, "AuthorizationHeaderMalformed", `<Region>${settings.region}</Region>`];
  }
  const at = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(request.headers["x-amz-date"] ?? ""));
  const [, year, month, day, hour, minute, second] = at ?? [];
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (!(Math.abs(Date.now() + settings.clockAheadMs - time) < 15 * 60_000)) {
    return [403, "RequestTimeTooSkewed"];
  }
  const signed = { method: request.method ?? "", url: request.url ?? "", headers: request.headers };
  if (!isSigned(signed, authorization, storeKey.secret)) {
    return [403, "SignatureDoesNotMatch"];
  }
  const token = request.headers["x-amz-security-token"] ?? null;
  return token === settings.sessionToken ? null : [403, "InvalidToken"];
}

function listing(objects: ReadonlyMap<string, Stored>, query: URLSearchParams): string {
  const after = Buffer.from(query.get("continuation-token") ?? "", "base64url").toString();
  const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const keys = [...objects.keys()]
    .filter((key) => key.startsWith(query.get("prefix") ?? "") && order(key, after) > 0)
    .toSorted(order);
  const page = keys.slice(0, PAGE_SIZE);
  const encode = (key: string) => encodeURIComponent(key).replaceAll("%2F", "/").replaceAll("%20", "+");
  const rows = page.map((key) => {
    const { content, etag } = objects.get(key) ?? { content: new Uint8Array(), etag: "" };
    const tag = etag.replaceAll('"', "&quot;");
    return `<Contents><Key>${encode(key)}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>${tag}</ETag><Size>${content.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  });
  const isTruncated = page.length < keys.length;
  const token = Buffer.from(page.at(-1) ?? "").toString("base64url");
  const next = isTruncated ? `<NextContinuationToken>${token}</NextContinuationToken>` : "";
  return `<?xml version="1.0"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${BUCKET}</Name><EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated>${next}${rows.join("\n")}</ListBucketResult>`;
}

export async function startObjectStore(): Promise<ObjectStore> {
  const objects = new Map<string, Stored>();
  const faults: Fault[] = [];
  const requests: { url: string; headers: IncomingMessage["headers"] }[] = [];
  const settings = { region: "us-east-1", clockAheadMs: 0, sessionToken: null, knowsIfMatch: true };
  const sent = { bytes: 0 };

  async function sendBody(answer: ServerResponse, whole: Uint8Array, fault: Fault): Promise<void> {
    let content = whole;
    if (fault.kind === "wrong" && whole.length > 0) {
      content = Uint8Array.from(whole);
      const at = fault.atByte % content.length;
      content[at] = (content[at] ?? 0) ^ 1;
    }
    const closed = new Promise<void>((resolve) => answer.once("close", resolve));
    const end = "afterBytes" in fault ? Math.min(fault.afterBytes, content.length) : content.length;
    for (let at = 0; at < end && !answer.destroyed; at += PIECE_BYTES) {
      const piece = content.subarray(at, Math.min(at + PIECE_BYTES, end));
      sent.bytes += piece.length;
      if (fault.kind === "slow") {
        await new Promise((resolve) => setTimeout(resolve, fault.pauseMs));
      }
      await Promise.race([closed, new Promise<void>((resolve) => answer.write(piece, () => resolve()))]);
    }
    if (fault.kind === "cut") {
      answer.destroy();
    } else if (fault.kind !== "stall") {
      answer.end();
    }
  }

  async function answerTo(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    requests.push({ url: request.url ?? "", headers: request.headers });
    const fault = faults.shift() ?? { kind: "none" };
    if (fault.kind === "drop") {
      request.socket.destroy();
      return;
    }
    if (fault.kind === "status") {
      answer.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    const id = { "x-amz-request-id": "0123456789ABCDEF" };
    const say = ([status, code, extra]: Refusal, headers: Record<string, string> = {}) =>
      answer.writeHead(status, { ...id, "content-type": "application/xml", ...headers }).end(refusal(code, extra));
    const refused = refuse(request, settings);
    if (refused !== null) {
      say(refused);
      return;
    }
    const [path = "", query = ""] = (request.url ?? "").split("?");
    const [bucket = "", ...parts] = path.slice(1).split("/");
    const key = parts.map((part) => decodeURIComponent(part)).join("/");
    if (bucket !== BUCKET) {
      say([404, "NoSuchBucket"]);
      return;
    }
    if (key === "") {
      answer.writeHead(200, { ...id, "content-type": "application/xml" });
      answer.end(listing(objects, new URLSearchParams(query)));
      return;
    }
    const stored = objects.get(key);
    if (stored === undefined) {
      say([404, "NoSuchKey"]);
      return;
    }
    const { content, etag } = stored;
    const wanted = request.headers["if-match"];
    if (wanted !== undefined && wanted !== etag && settings.knowsIfMatch) {
      say([412, "PreconditionFailed"]);
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const from = Number(range?.[1] ?? 0);
    if (range !== null && from >= content.length) {
      say([416, "InvalidRange"], { "content-range": `bytes */${content.length}` });
      return;
    }
    const last = Math.min(range?.[2] ? Number(range[2]) : content.length - 1, content.length - 1);
    const part = content.subarray(from, last + 1);
    answer.writeHead(range === null ? 200 : 206, {
      ...id,
      etag,
      "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT",
      "content-length": part.length,
      ...(range === null ? {} : { "content-range": `bytes ${from}-${last}/${content.length}` }),
    });
    await sendBody(answer, part, fault);
  }

  const server = createServer((request, answer) => {
    answerTo(request, answer).catch(() => answer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // as: a server that listens at a port has such an address.
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    requests,
    settings,
    sent,
    put(key, content) {
      objects.set(key, { content, etag: `"${createHash("md5").update(content).digest("hex")}"` });
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
