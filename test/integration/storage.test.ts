// Object stores: a server that checks signatures as S3 does, and drops, cuts, stalls and refuses. What is read equals what
// was stored, or nothing is given and a sentence says why.
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { listSources, openSource } from "#core/storage/storage";
import { isSigned, signatureOf } from "../support/aws-signature.ts";
import { assay } from "../support/command-line.ts";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { type ObjectStore, refusal, startObjectStore, storeKey } from "../support/object-store.ts";
import { temporaryFolder } from "../support/workspace.ts";

const policy = { attempts: 4, firstPauseMs: 5, longestPauseMs: 20, silenceMs: 2000 };

let store: ObjectStore;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  await bundleWorkers();
  store = await startObjectStore();
  folder = await temporaryFolder("assay-storage-");
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function environment(changes: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: store.endpoint,
    AWS_ENDPOINT_URL_S3: "",
    AWS_REGION: "us-east-1",
    AWS_PROFILE: "",
    AWS_ACCESS_KEY_ID: storeKey.id,
    AWS_SECRET_ACCESS_KEY: storeKey.secret,
    AWS_SESSION_TOKEN: "",
    AWS_SHARED_CREDENTIALS_FILE: path.join(folder.path, "none"),
    ...changes,
  };
}

function setEnvironment(changes: Readonly<Record<string, string>> = {}): void {
  for (const [name, value] of Object.entries(environment(changes))) {
    vi.stubEnv(name, value);
  }
}

beforeEach(() => {
  setEnvironment();
  store.faults.length = 0;
  store.requests.length = 0;
  Object.assign(store.settings, { region: "us-east-1", clockAheadMs: 0, sessionToken: null, knowsIfMatch: true });
  store.sent.bytes = 0;
});
afterEach(() => {
  vi.unstubAllEnvs();
});

async function bytesOf(location: string, options: Parameters<typeof openSource>[1] = { policy }): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of (await openSource(location, options)).chunks) {
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

describe("an object", () => {
  it("is read byte for byte, whatever its key, with a signature the server accepts", async () => {
    const content = randomBytes(300_000);
    for (const key of ["plain.bin", "a folder/ä b+c (1)'!*.bin", "percent%41&x=y;~.bin", "deep/er/日本.bin"]) {
      store.put(key, content);
      const opened = await openSource(`s3://texts/${key}`, { policy });
      expect(opened.sizeBytes, key).toBe(content.length);
      expect((await bytesOf(`s3://texts/${key}`)).equals(content), key).toBe(true);
    }
    store.put("empty", new Uint8Array());
    expect(await bytesOf("s3://texts/empty")).toHaveLength(0);
    expect(await listSources("s3://texts/empty", { policy })).toMatchObject([{ name: "empty", sizeBytes: 0 }]);
  });

  it("is whole after dropped, refused and cut answers, and goes on from the byte it had", async () => {
    const content = randomBytes(1_500_000);
    store.put("cut.bin", content);
    store.faults.push(
      { kind: "drop" },
      { kind: "status", status: 503, body: refusal("SlowDown"), headers: { "retry-after": "0" } },
      { kind: "cut", afterBytes: 400_000 },
      { kind: "status", status: 500, body: refusal("InternalError") },
      { kind: "cut", afterBytes: 1 },
      { kind: "cut", afterBytes: 500_000 },
    );
    expect((await bytesOf("s3://texts/cut.bin")).equals(content)).toBe(true);
    expect(store.faults).toHaveLength(0);
    const resumed = store.requests.filter((each) => each.headers.range !== undefined);
    expect(resumed.at(-1)?.headers.range).toMatch(/^bytes=\d+-$/);
    expect(resumed.every((each) => /^"[0-9a-f]+"$/.test(each.headers["if-match"] ?? ""))).toBe(true);
    expect(Number(/\d+/.exec(resumed.at(-1)?.headers.range ?? "")?.[0])).toBeGreaterThan(0);
  });

  it("is asked for again where the server falls silent", async () => {
    const content = randomBytes(200_000);
    store.put("stalled.bin", content);
    store.faults.push({ kind: "stall", afterBytes: 50_000 });
    const read = await bytesOf("s3://texts/stalled.bin", { policy: { ...policy, silenceMs: 200 } });
    expect(read.equals(content)).toBe(true);
    expect(store.requests).toHaveLength(2);
  });

  it("waits for a reader that takes its time, and goes on where the connection ended meanwhile", async () => {
    const content = randomBytes(3_000_000);
    store.put("slow.bin", content);
    store.faults.push({ kind: "cut", afterBytes: 10_000 });
    const opened = await openSource("s3://texts/slow.bin", { policy: { ...policy, silenceMs: 100 } });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const parts: Uint8Array[] = [];
    for await (const chunk of opened.chunks) {
      if (parts.length < 3) {
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      parts.push(chunk);
    }
    expect(Buffer.concat(parts).equals(content)).toBe(true);
    expect(store.requests).toHaveLength(2);
  });

  it("is given up with a sentence where nothing new comes", async () => {
    store.put("never.bin", randomBytes(100_000));
    store.faults.push({ kind: "cut", afterBytes: 1000 });
    for (let count = 0; count < 20; count += 1) {
      store.faults.push({ kind: "drop" });
    }
    await expect(bytesOf("s3://texts/never.bin")).rejects.toMatchObject({ code: "FETCH_UNREACHABLE" });
    expect(store.requests).toHaveLength(1 + policy.attempts);
  });

  it("is never joined from two versions", async () => {
    const first = randomBytes(400_000);
    store.put("replaced.bin", first);
    for (const knowsIfMatch of [true, false]) {
      store.settings.knowsIfMatch = knowsIfMatch;
      store.faults.push({ kind: "cut", afterBytes: 100_000 });
      const opened = await openSource("s3://texts/replaced.bin", { policy });
      store.put("replaced.bin", randomBytes(400_000));
      const reading = async () => {
        for await (const chunk of opened.chunks) {
          expect(chunk.length).toBeGreaterThan(0);
        }
      };
      await expect(reading(), `${knowsIfMatch}`).rejects.toMatchObject({
        code: "FETCH_CHANGED",
        message: expect.stringContaining("was replaced while it was read"),
      });
    }
  });

  it("comes no faster than it is taken", async () => {
    store.put("large.bin", Buffer.alloc(96 * 1024 * 1024, "text "));
    const opened = await openSource("s3://texts/large.bin", { policy });
    const iterator = opened.chunks[Symbol.asyncIterator]();
    await iterator.next();
    let before = -1;
    while (before !== store.sent.bytes) {
      before = store.sent.bytes;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(store.sent.bytes).toBeLessThan(48 * 1024 * 1024);
    await iterator.return?.();
  });

  it("can be cancelled, also while it waits for the next attempt", async () => {
    store.put("cancelled.bin", randomBytes(100_000));
    const reading = new AbortController();
    store.faults.push({ kind: "stall", afterBytes: 10 });
    const opened = await openSource("s3://texts/cancelled.bin", { policy, signal: reading.signal });
    const iterator = opened.chunks[Symbol.asyncIterator]();
    await iterator.next();
    setTimeout(() => reading.abort(), 20);
    await expect(iterator.next()).rejects.toMatchObject({ code: "CANCELLED" });

    const waiting = new AbortController();
    store.faults.push({ kind: "drop" });
    setTimeout(() => waiting.abort(), 100);
    const patient = { ...policy, firstPauseMs: 1_000_000, longestPauseMs: 1_000_000 };
    await expect(
      openSource("s3://texts/cancelled.bin", { policy: patient, signal: waiting.signal }),
    ).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

describe("a store that does not give an object", () => {
  const cases: readonly (readonly [string, string, string, Readonly<Record<string, string>>, string, string])[] = [
    ["a key that is not there", "s3://texts/none", "", {}, "FETCH_NOT_FOUND", "There is no s3://texts/none"],
    ["a bucket that is not there", "s3://nothing/none", "", {}, "FETCH_NOT_FOUND", "There is no bucket nothing"],
    [
      "a wrong secret",
      "s3://texts/plain.bin",
      "",
      { AWS_SECRET_ACCESS_KEY: "other" },
      "FETCH_NOT_ALLOWED",
      "SignatureDoesNotMatch",
    ],
    ["half a key", "s3://texts/plain.bin", "", { AWS_SECRET_ACCESS_KEY: "" }, "FETCH_NOT_ALLOWED", "one half of a key"],
    [
      "an unknown profile",
      "s3://texts/x",
      "",
      { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "", AWS_PROFILE: "lab" },
      "FETCH_NOT_ALLOWED",
      "no profile lab",
    ],
    ["another region", "s3://texts/x", "301", {}, "FETCH_REGION_WRONG", "AWS_REGION=eu-west-3"],
    [
      "another region in a signature",
      "s3://texts/plain.bin",
      "region",
      {},
      "FETCH_REGION_WRONG",
      "AWS_REGION=eu-west-3",
    ],
    ["a clock that is wrong", "s3://texts/plain.bin", "clock", {}, "FETCH_CLOCK_WRONG", "set the clock"],
    ["a page in place of an object", "s3://texts/x", "page", {}, "FETCH_ENDPOINT_WRONG", "AWS_ENDPOINT_URL"],
    ["a page in place of an error", "s3://texts/x", "page404", {}, "FETCH_ENDPOINT_WRONG", "AWS_ENDPOINT_URL"],
    [
      "a port where nobody listens",
      "s3://texts/x",
      "",
      { AWS_ENDPOINT_URL: "http://127.0.0.1:1" },
      "FETCH_UNREACHABLE",
      "refuses connections",
    ],
    ["https where http is spoken", "s3://texts/x", "", { AWS_ENDPOINT_URL: "tls" }, "FETCH_UNREACHABLE", "https"],
    [
      "an endpoint that is no address",
      "s3://texts/x",
      "",
      { AWS_ENDPOINT_URL: "store" },
      "FETCH_ENDPOINT_WRONG",
      "https://",
    ],
    ["a key with dots", "s3://texts/../x", "", {}, "BAD_ARGUMENT", "s3://bucket/key"],
    ["no bucket", "s3:///x", "", {}, "BAD_ARGUMENT", "s3://bucket/key"],
  ];
  const answers: Readonly<Record<string, readonly [number, string]>> = {
    "301": [301, refusal("PermanentRedirect", "<Region>eu-west-3</Region>")],
    page: [200, "<html>Welcome</html>"],
    page404: [404, "<html>Nothing here</html>"],
  };
  it.each(cases)("says so of %s", async (_, location, answer, changes, code, words) => {
    store.put("plain.bin", randomBytes(10));
    const endpoint = changes["AWS_ENDPOINT_URL"];
    setEnvironment(endpoint === "tls" ? { AWS_ENDPOINT_URL: store.endpoint.replace("http:", "https:") } : changes);
    store.settings.clockAheadMs = answer === "clock" ? 3_600_000 : 0;
    store.settings.region = answer === "region" ? "eu-west-3" : "us-east-1";
    const [status, body] = answers[answer] ?? [0, ""];
    if (status !== 0) {
      store.faults.push({ kind: "status", status, body });
    }
    const error: unknown = await bytesOf(location).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    expect((error as Error).message).toMatch(/^[^\n]+\.$/);
  });
});

describe("the signature check of these tests", () => {
  it("gives the signature of the example that AWS publishes for a GET of an object", () => {
    const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const headers = {
      host: "examplebucket.s3.amazonaws.com",
      range: "bytes=0-9",
      "x-amz-content-sha256": empty,
      "x-amz-date": "20130524T000000Z",
    };
    const authorization = {
      keyId: "AKIAIOSFODNN7EXAMPLE",
      day: "20130524",
      region: "us-east-1",
      signedHeaders: Object.keys(headers),
      signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    };
    const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const request = { method: "GET", url: "/test.txt", headers };
    expect(signatureOf(request, authorization, secret)).toBe(authorization.signature);
    expect(isSigned({ ...request, url: "/test.txt?x=1" }, authorization, secret)).toBe(false);
  });
});

describe("who asks", () => {
  it("is a profile of the credentials file, with its region and session", async () => {
    const file = path.join(folder.path, "credentials");
    const keys = `aws_access_key_id = ${storeKey.id}\naws_secret_access_key=${storeKey.secret}\n`;
    await writeFile(
      file,
      `# ours\n[default]\naws_access_key_id = no\n\n[lab]\n${keys}aws_session_token = tok\nregion = eu-west-3\n`,
    );
    store.put("plain.bin", Buffer.from("text"));
    const none = { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "", AWS_REGION: "" };
    Object.assign(store.settings, { region: "eu-west-3", sessionToken: "tok" });
    setEnvironment({ ...none, AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: "lab" });
    expect((await bytesOf("s3://texts/plain.bin")).toString()).toBe("text");
    const headers = store.requests.at(-1)?.headers;
    expect(headers?.authorization).toContain("/eu-west-3/s3/aws4_request");
    expect(headers?.["x-amz-security-token"]).toBe("tok");
  });

  it("is nobody where there are no keys: nothing is signed, and a refusal names the variables", async () => {
    setEnvironment({ AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" });
    await expect(bytesOf("s3://texts/plain.bin")).rejects.toMatchObject({
      code: "FETCH_NOT_ALLOWED",
      message: expect.stringContaining("AWS_ACCESS_KEY_ID"),
    });
    expect(store.requests.at(-1)?.headers.authorization).toBeUndefined();
  });
});

describe("a plain server", () => {
  it("is followed through redirects and cuts, and its bytes are those stored, not those unpacked", async () => {
    const content = randomBytes(50_000);
    let answers = 0;
    const server = createServer((request, response) => {
      if (request.url === "/moved") {
        response.writeHead(302, { location: "/file" }).end();
        return;
      }
      answers += 1;
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const part = content.subarray(from);
      const range = `bytes ${from}-${content.length - 1}/${content.length}`;
      const headers = { etag: '"one"', "content-length": part.length, "content-encoding": "gzip" };
      response.writeHead(from === 0 ? 200 : 206, from === 0 ? headers : { ...headers, "content-range": range });
      if (answers === 1) {
        response.write(part.subarray(0, 20_000), () => response.destroy());
      } else {
        response.end(part);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      expect((await bytesOf(`http://127.0.0.1:${port}/moved`)).equals(content)).toBe(true);
      expect(answers).toBeGreaterThan(1);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it("is never given a password from its address, nor is the password repeated", async () => {
    const error = await openSource("https://me:secret@example.org/x").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "BAD_ARGUMENT", message: expect.not.stringContaining("secret") });
  });
});

describe("a prefix", () => {
  it("lists every page of its objects, and globs choose among them", async () => {
    const names = Array.from({ length: 1003 }, (_, index) => `many/part-${String(index).padStart(5, "0")}.txt`);
    for (const name of names) {
      store.put(name, Buffer.from(name));
    }
    store.put("many/more/a & b.jsonl", Buffer.from("{}"));
    const all = await listSources("s3://texts/many/", { policy });
    expect(all.map((each) => each.name)).toEqual(["more/a & b.jsonl", ...names.map((name) => name.slice(5))]);
    expect(all.every((each) => each.sizeBytes !== null && each.modifiedMs !== null)).toBe(true);
    expect(await listSources("s3://texts/many", { policy })).toEqual(all);
    const chosen = await listSources("s3://texts/many/**/*.jsonl", { policy });
    expect(chosen.map((each) => each.location)).toEqual(["s3://texts/many/more/a & b.jsonl"]);
    const tens = await listSources("s3://texts/many/part-0000?.txt", { policy });
    expect(tens.map((each) => each.name)).toEqual(names.slice(0, 10).map((name) => name.slice(5)));
    await expect(listSources("s3://texts/many/*.xml", { policy })).rejects.toMatchObject({ code: "FETCH_NOT_FOUND" });
  });

  it("is refused where the listing is none", async () => {
    for (const body of ["<html></html>", "<ListBucketResult><Contents>", "not XML", ""]) {
      store.faults.push({ kind: "status", status: 200, body });
      await expect(listSources("s3://texts/many/", { policy }), body).rejects.toMatchObject({
        code: "FETCH_ENDPOINT_WRONG",
      });
    }
  });
});

describe("assay corpus import s3://…", () => {
  it("gives the file that the same import from a folder gives", async () => {
    const local = path.join(folder.path, "in");
    await mkdir(path.join(local, "b"), { recursive: true });
    for (const name of ["a.jsonl", "b/c.jsonl"]) {
      const lines = Array.from({ length: 500 }, (_, index) => JSON.stringify({ text: `${name} holds text ${index}.` }));
      await writeFile(path.join(local, name), `${lines.join("\n")}\n`);
      store.put(`import/${name}`, await readFile(path.join(local, name)));
    }
    const out = (name: string) => path.join(folder.path, `${name}.jsonl`);
    const runs = [
      ["folder", local, ""],
      ["bucket", "s3://texts/import/", ""],
      ["file", path.join(local, "a.jsonl"), ""],
      ["object", "s3://texts/import/a.jsonl", "cut"],
    ] as const;
    for (const [name, input, fault] of runs) {
      if (fault === "cut") {
        // The first request is the listing's.
        store.faults.push({ kind: "none" }, { kind: "cut", afterBytes: 5000 });
      }
      const result = await assay(["corpus", "import", input, "--out", out(name)], environment());
      expect(result, result.stderr).toMatchObject({ code: 0 });
    }
    expect(await readFile(out("bucket"), "utf8")).toBe(await readFile(out("folder"), "utf8"));
    expect(await readFile(out("object"), "utf8")).toBe(await readFile(out("file"), "utf8"));
    expect((await readFile(out("bucket"), "utf8")).split("\n")).toHaveLength(1001);
  });

  it("ends with the sentence and the code of a wrong request", async () => {
    const words = ["corpus", "import", "s3://texts/none.jsonl", "--out", path.join(folder.path, "none.jsonl")];
    const result = await assay(words, environment());
    expect(result.code).toBe(2);
    expect(result.stderr).toContain("s3://texts/none.jsonl");
  });
});
