// Objects of S3 and of stores that speak as it does: s3://bucket/key as a signed request, and the keys under a prefix.
// A key is taken literally, as other programs take it: nothing in it is unescaped.
import { AwsV4Signer } from "aws4fetch";
import { SaxesParser } from "saxes";
import { AppError } from "#shared/errors";
import { type Identity, readIdentity, variable } from "./credentials.ts";
import { ask, readText, type Target, type TransferOptions } from "./transfer.ts";

export type StoredObject = { readonly key: string; readonly sizeBytes: number; readonly modifiedMs: number | null };

const LARGEST_LISTING_BYTES = 16 * 1024 * 1024;
const LARGEST_OBJECT_COUNT = 1_000_000;

export function parseAddress(location: string): { readonly bucket: string; readonly key: string } {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,62})(?:\/([\s\S]*))?$/i.exec(location);
  if (match === null) {
    throw new AppError("BAD_ARGUMENT", `${location} is not an object's address; write s3://bucket/key.`);
  }
  return { bucket: match[1] ?? "", key: match[2] ?? "" };
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function bucketAddress(bucket: string, region: string): string {
  const endpoint = variable("AWS_ENDPOINT_URL_S3") ?? variable("AWS_ENDPOINT_URL");
  if (endpoint !== null) {
    if (!/^https?:\/\/[^/?#@]+/i.test(endpoint) || !URL.canParse(endpoint)) {
      throw new AppError("FETCH_ENDPOINT_WRONG", "AWS_ENDPOINT_URL is not an address; write https:// and a host.");
    }
    return `${endpoint.replace(/\/+$/, "")}/${bucket}`;
  }
  const host = `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
  // The certificate of the store covers one label, so a bucket with a dot goes into the path.
  return bucket.includes(".") ? `https://${host}/${bucket}` : `https://${bucket}.${host}`;
}

function targetOf(name: string, bucket: string, pathAndQuery: string, identity: Identity): Target {
  const { credentials, region } = identity;
  const url = new URL(bucketAddress(bucket, region) + pathAndQuery);
  return {
    name,
    url,
    store: { bucket, region, isAnonymous: credentials === null },
    async headers() {
      if (credentials === null) {
        return {};
      }
      const signed = await new AwsV4Signer({
        url: url.href,
        service: "s3",
        region,
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: credentials.secretAccessKey,
        ...(credentials.sessionToken === null ? {} : { sessionToken: credentials.sessionToken }),
      }).sign();
      return Object.fromEntries(signed.headers.entries());
    },
  };
}

export async function objectTarget(location: string): Promise<Target> {
  const { bucket, key } = parseAddress(location);
  const parts = key.split("/");
  if (key === "" || parts.some((part) => part === "." || part === "..")) {
    throw new AppError("BAD_ARGUMENT", `${location} names no object that can be asked for; write s3://bucket/key.`);
  }
  return targetOf(location, bucket, `/${parts.map(encode).join("/")}`, await readIdentity());
}

/** One object as it is now, or null where there is none. */
export async function findObject(location: string, options: TransferOptions): Promise<StoredObject | null> {
  const target = await objectTarget(location);
  try {
    // A byte and not HEAD, whose refusals give no reason. 416: it is empty.
    const answer = await ask(target, [200, 206, 416], { range: "bytes=0-0" }, options);
    answer.body.destroy();
    const total = /\/(\d+)$/.exec(answer.headers["content-range"] ?? "")?.[1];
    const whole = answer.status === 200 ? answer.headers["content-length"] : "0";
    const modifiedMs = Date.parse(answer.headers["last-modified"] ?? "");
    return {
      key: parseAddress(location).key,
      sizeBytes: Number(total ?? whole ?? 0),
      modifiedMs: Number.isNaN(modifiedMs) ? null : modifiedMs,
    };
  } catch (error) {
    if (error instanceof AppError && error.code === "FETCH_NOT_FOUND" && error.details?.["bucket"] === undefined) {
      return null;
    }
    throw error;
  }
}

type Page = { readonly objects: readonly StoredObject[]; readonly next: string | null };

function parsePage(text: string): Page | null {
  const objects: StoredObject[] = [];
  const stack: string[] = [];
  const fields = new Map<string, string>();
  const heads = new Map<string, string>();
  const rows: ReadonlyMap<string, string>[] = [];
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", (tag) => stack.push(tag.name));
  parser.on("text", (piece) => {
    const into = stack[1] === "Contents" && stack.length === 3 ? fields : stack.length === 2 ? heads : null;
    const name = stack.at(-1) ?? "";
    into?.set(name, (into.get(name) ?? "") + piece);
  });
  parser.on("closetag", () => {
    if (stack.length === 2 && stack[1] === "Contents") {
      rows.push(new Map(fields));
      fields.clear();
    }
    stack.pop();
  });
  let isListing = false;
  parser.on("opentagstart", (tag) => {
    isListing ||= stack.length === 0 && tag.name === "ListBucketResult";
  });
  try {
    parser.write(text).close();
    if (!isListing) {
      return null;
    }
    const isEncoded = heads.get("EncodingType") === "url";
    for (const row of rows) {
      const key = row.get("Key") ?? "";
      const modifiedMs = Date.parse(row.get("LastModified") ?? "");
      objects.push({
        key: isEncoded ? decodeURIComponent(key.replaceAll("+", " ")) : key,
        sizeBytes: Number(row.get("Size") ?? 0),
        modifiedMs: Number.isNaN(modifiedMs) ? null : modifiedMs,
      });
    }
  } catch {
    return null;
  }
  return { objects, next: heads.get("IsTruncated") === "true" ? (heads.get("NextContinuationToken") ?? null) : null };
}

/** The objects whose keys begin so, in the order of their keys' bytes. */
export async function listObjects(
  bucket: string,
  prefix: string,
  options: TransferOptions,
): Promise<readonly StoredObject[]> {
  const identity = await readIdentity();
  const name = `s3://${bucket}/${prefix}`;
  const found: StoredObject[] = [];
  let token: string | null = null;
  for (;;) {
    const words: Record<string, string> = { "encoding-type": "url", "list-type": "2", prefix };
    if (token !== null) {
      words["continuation-token"] = token;
    }
    const query = Object.entries(words).map(([key, value]) => `${key}=${encode(value)}`);
    const target = targetOf(name, bucket, `/?${query.join("&")}`, identity);
    const answer = await ask(target, [200], {}, options);
    const text = await readText(answer, LARGEST_LISTING_BYTES, options);
    const page = text === null ? null : parsePage(text);
    if (page === null || (page.next !== null && page.next === token)) {
      throw new AppError(
        "FETCH_ENDPOINT_WRONG",
        `${target.url.host} does not answer as an object store does; check AWS_ENDPOINT_URL.`,
      );
    }
    found.push(...page.objects);
    if (found.length > LARGEST_OBJECT_COUNT) {
      throw new AppError("BAD_ARGUMENT", `${name} holds more than ${LARGEST_OBJECT_COUNT} objects; name a part of it.`);
    }
    if (page.next === null) {
      return found;
    }
    token = page.next;
  }
}
