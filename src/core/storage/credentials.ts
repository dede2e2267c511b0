// Who asks an object store: keys of the environment, else of a profile in the credentials file, else nobody, which public
// buckets allow. Keys are never part of a sentence.
import { readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { AppError } from "#shared/errors";

export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | null;
};

export type Identity = { readonly credentials: Credentials | null; readonly region: string };

/** Unset and empty are the same, as they are to other programs that read these names. */
export function variable(name: string): string | null {
  const value = process.env[name]?.trim();
  return value === undefined || value === "" ? null : value;
}

function readProfile(text: string, profile: string): ReadonlyMap<string, string> | null {
  let found: Map<string, string> | null = null;
  let isInside = false;
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line);
    const entry = /^\s*([a-z0-9_]+)\s*=\s*(.*?)\s*$/i.exec(line);
    if (header !== null) {
      isInside = header[1] === profile;
      found ??= isInside ? new Map<string, string>() : null;
    } else if (isInside && entry !== null) {
      found?.set((entry[1] ?? "").toLowerCase(), entry[2] ?? "");
    }
  }
  return found;
}

function keysOf(id: string | null, secret: string | null, token: string | null, where: string): Credentials | null {
  if (id === null && secret === null) {
    return null;
  }
  if (id === null || secret === null) {
    throw new AppError(
      "FETCH_NOT_ALLOWED",
      `${where} holds one half of a key; give both the access key's id and its secret.`,
    );
  }
  return { accessKeyId: id, secretAccessKey: secret, sessionToken: token };
}

export async function readIdentity(): Promise<Identity> {
  const file = variable("AWS_SHARED_CREDENTIALS_FILE") ?? path.join(os.homedir(), ".aws", "credentials");
  const named = variable("AWS_PROFILE");
  const own = keysOf(
    variable("AWS_ACCESS_KEY_ID"),
    variable("AWS_SECRET_ACCESS_KEY"),
    variable("AWS_SESSION_TOKEN"),
    "The environment",
  );
  const text = await readFile(file, "utf8").catch(() => null);
  const profile = text === null ? null : readProfile(text, named ?? "default");
  if (own === null && profile === null && named !== null) {
    throw new AppError("FETCH_NOT_ALLOWED", `${file} has no profile ${named}; add it, or set AWS_PROFILE to another.`);
  }
  const entry = (name: string) => {
    const value = profile?.get(name) ?? "";
    return value === "" ? null : value;
  };
  const credentials =
    own ?? keysOf(entry("aws_access_key_id"), entry("aws_secret_access_key"), entry("aws_session_token"), `${file}`);
  const region = variable("AWS_REGION") ?? variable("AWS_DEFAULT_REGION") ?? entry("region") ?? "us-east-1";
  return { credentials, region };
}
