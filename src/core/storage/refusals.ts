// What servers and object stores answer when they do not give what was asked for, as one sentence with a stable code.
// Stores name their reason in XML: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
import type { IncomingHttpHeaders } from "node:http";
import { AppError } from "#shared/errors";
import type { Target } from "./transfer.ts";

function element(text: string, name: string): string | null {
  return new RegExp(`<${name}>([^<]{1,200})</${name}>`).exec(text)?.[1] ?? null;
}

function one(header: string | readonly string[] | undefined): string | null {
  return typeof header === "string" ? header : (header?.[0] ?? null);
}

type Store = NonNullable<Target["store"]>;

function storeRefusal(
  target: Target,
  store: Store,
  status: number,
  headers: IncomingHttpHeaders,
  text: string,
): AppError | null {
  const code = element(text, "Code");
  const host = target.url.host;
  const region = one(headers["x-amz-bucket-region"]) ?? element(text, "Region");
  if ((region !== null && region !== store.region) || code === "PermanentRedirect" || status === 301) {
    const advice = region === null ? "set AWS_REGION to the bucket's" : `set AWS_REGION=${region}`;
    return new AppError(
      "FETCH_REGION_WRONG",
      `The bucket ${store.bucket} is not in the region ${store.region}; ${advice} and run it again.`,
    );
  }
  if (code === "RequestTimeTooSkewed" || code === "RequestExpired") {
    return new AppError(
      "FETCH_CLOCK_WRONG",
      `${host} refuses requests signed now, because the clock of this machine differs from its own; set the clock.`,
    );
  }
  if (code === null && headers["x-amz-request-id"] === undefined && status < 500 && status !== 429) {
    return new AppError(
      "FETCH_ENDPOINT_WRONG",
      `${host} does not answer as an object store does (${status}); check AWS_ENDPOINT_URL.`,
    );
  }
  if (code === "NoSuchBucket") {
    return new AppError("FETCH_NOT_FOUND", `There is no bucket ${store.bucket} at ${host}; check its name.`, {
      details: { bucket: store.bucket },
    });
  }
  if (status === 401 || status === 403 || code === "InvalidAccessKeyId" || code === "SignatureDoesNotMatch") {
    const advice = store.isAnonymous
      ? "it is not public, or not there; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
      : `${code ?? "AccessDenied"}; check the key, and that it may read and list this bucket`;
    return new AppError("FETCH_NOT_ALLOWED", `${host} does not let you read ${target.name}: ${advice}.`);
  }
  return null;
}

export function refusalOf(target: Target, status: number, headers: IncomingHttpHeaders, text: string): AppError {
  const refusal = target.store === null ? null : storeRefusal(target, target.store, status, headers, text);
  if (refusal !== null) {
    return refusal;
  }
  if (status === 404 || status === 410) {
    return new AppError("FETCH_NOT_FOUND", `There is no ${target.name} (${status}); check the address.`);
  }
  if (status === 401 || status === 403) {
    return new AppError(
      "FETCH_NOT_ALLOWED",
      `${target.name} is not open to everyone (${status}); check the address, or fetch the file by other means.`,
    );
  }
  return new AppError(
    "FETCH_FAILED",
    `${target.url.host} answers ${status} for ${target.name}; check the address, or run it again later.`,
  );
}

/** Codes of Node, of connections and of names. */
function reasonOf(cause: unknown): string {
  const inner: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const code = (inner as { code?: unknown } | null)?.code;
  switch (code) {
    case "ECONNREFUSED":
      return "it refuses connections; check host and port, and that it runs";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "its name is not known; check the address and the network";
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "EPROTO":
      return "it does not speak https; write http:// or check the port";
    default:
      return `${inner instanceof Error ? inner.message : String(inner)}; check the network, or run it again later`;
  }
}

export function unreachable(target: Target, cause: unknown): AppError {
  return new AppError("FETCH_UNREACHABLE", `Cannot reach ${target.url.host} for ${target.name}: ${reasonOf(cause)}.`, {
    cause,
  });
}
