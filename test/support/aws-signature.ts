// Checks AWS Signature Version 4 as a store does, from the description alone and apart from the library that signs:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

export type SignedRequest = {
  readonly method: string;
  /** As it came: path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
};

export type Authorization = {
  readonly keyId: string;
  readonly day: string;
  readonly region: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
};

export function parseAuthorization(header: string): Authorization | null {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  const [, keyId = "", day = "", region = "", names = "", signature = ""] = match ?? [];
  return match === null ? null : { keyId, day, region, signedHeaders: names.split(";"), signature };
}

/** Everything but letters, digits and - . _ ~ */
function encodeBytes(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const char = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9\-._~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

export function signatureOf(request: SignedRequest, authorization: Authorization, secret: string): string {
  const [path = "", query = ""] = request.url.split(/\?(.*)/s);
  const canonicalPath = path
    .split("/")
    .map((part) => encodeBytes(decodeURIComponent(part)))
    .join("/");
  const canonicalQuery = query
    .split("&")
    .filter((word) => word !== "")
    .map((word) => {
      const [name = "", value = ""] = word.split(/=(.*)/s);
      return `${encodeBytes(decodeURIComponent(name))}=${encodeBytes(decodeURIComponent(value))}`;
    })
    .toSorted()
    .join("&");
  const value = (name: string) => String(request.headers[name] ?? "").trim();
  const canonical = [
    request.method,
    canonicalPath,
    canonicalQuery,
    ...authorization.signedHeaders.map((name) => `${name}:${value(name)}`),
    "",
    authorization.signedHeaders.join(";"),
    value("x-amz-content-sha256"),
  ].join("\n");
  const scope = `${authorization.day}/${authorization.region}/s3/aws4_request`;
  const digest = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", value("x-amz-date"), scope, digest].join("\n");
  const dayKey = hmac(`AWS4${secret}`, authorization.day);
  return hmac(hmac(hmac(hmac(dayKey, authorization.region), "s3"), "aws4_request"), text).toString("hex");
}

/** Whether the signature is right and covers what it must: the host and every x-amz header. */
export function isSigned(request: SignedRequest, authorization: Authorization, secret: string): boolean {
  const needed = Object.keys(request.headers).filter((name) => name === "host" || name.startsWith("x-amz-"));
  const expected = Buffer.from(signatureOf(request, authorization, secret));
  return (
    needed.every((name) => authorization.signedHeaders.includes(name)) &&
    timingSafeEqual(expected, Buffer.from(authorization.signature))
  );
}
