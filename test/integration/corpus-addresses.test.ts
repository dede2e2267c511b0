// Imports of what has to be listed or seeked in at an address: folders of MDS shards and Parquet, from a plain server and
// from an object store, give what the same import from a folder of this machine gives.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { programRoot } from "#core/paths";
import { assay } from "../support/command-line.ts";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { type ObjectStore, startObjectStore, storeKey } from "../support/object-store.ts";
import { temporaryFolder } from "../support/workspace.ts";

const table = path.join(programRoot(), "test", "fixtures", "corpus", "table.parquet");
/** What the plain server has, by its path. */
const files = new Map<string, Buffer>();
let server: Server;
let origin = "";
let store: ObjectStore;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let shards = "";

beforeAll(async () => {
  await bundleWorkers();
  folder = await temporaryFolder("assay-addresses-");
  store = await startObjectStore();
  server = createServer((request, response) => {
    const body = files.get(new URL(request.url ?? "/", "http://here").pathname);
    response.writeHead(body === undefined ? 404 : 200, { "content-length": body?.length ?? 0 }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  origin = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  const texts = path.join(folder.path, "texts.jsonl");
  const lines = Array.from({ length: 400 }, (_, at) =>
    JSON.stringify({ id: `d${at}`, text: `Text ${at}. `.repeat(40) }),
  );
  await writeFile(texts, `${lines.join("\n")}\n`);
  shards = path.join(folder.path, "shards");
  const made = await assay(["corpus", "shard", texts, "--out", shards, "--size-limit", "32KiB", "--compression", "gz"]);
  expect(made, made.stderr).toMatchObject({ code: 0 });
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await store[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});
beforeEach(async () => {
  files.clear();
  for (const name of await readdir(shards)) {
    const bytes = await readFile(path.join(shards, name));
    files.set(`/set/${name}`, bytes);
    store.put(`set/${name}`, bytes);
  }
});

let count = 0;
async function imported(...words: readonly string[]) {
  count += 1;
  const output = path.join(folder.path, `out-${count}.jsonl`);
  const env = {
    AWS_ENDPOINT_URL: store.endpoint,
    AWS_ENDPOINT_URL_S3: "",
    AWS_REGION: "us-east-1",
    AWS_PROFILE: "",
    AWS_ACCESS_KEY_ID: storeKey.id,
    AWS_SECRET_ACCESS_KEY: storeKey.secret,
    AWS_SESSION_TOKEN: "",
    ASSAY_WORKERS: process.env["ASSAY_WORKERS"] ?? "",
  };
  const result = await assay(["corpus", "import", ...words, "--out", output], env);
  return { ...result, text: result.code === 0 ? await readFile(output, "utf8") : "" };
}

describe("a folder of MDS shards", () => {
  it("is read through its index from a server and from an object store, shard by shard", async () => {
    const local = await imported(shards);
    expect(local.text.split("\n")).toHaveLength(401);
    expect((await readdir(shards)).length).toBeGreaterThan(4);
    for (const address of [`${origin}/set/`, `${origin}/set/index.json`, "s3://texts/set/", "s3://texts/set"]) {
      const remote = await imported(address, "--workers", "2");
      expect(remote, remote.stderr).toMatchObject({ code: 0 });
      expect(remote.text, address).toBe(local.text);
    }
  });

  it("is refused where a shard is not what its index says, or is not there", async () => {
    const name = [...files.keys()].find((each) => each.endsWith(".gz")) ?? "";
    const good = files.get(name) ?? Buffer.alloc(0);
    const wrong: readonly (readonly [Buffer | null, RegExp])[] = [
      [
        good.subarray(0, good.length - 1),
        /^http:\S+: it has \d+ bytes, and its index says \d+; it was cut or changed\.\n$/,
      ],
      [Buffer.concat([good, good]), /^http:\S+: it has more than \d+ bytes, and its index says \d+; .+\.\n$/],
      [Buffer.from(good).fill(0, 50, 60), /^http:\S+ is not what was written: .+; fetch it again\.\n$/],
      [null, /^[^\n]*http:[^\n]+\.\n$/],
    ];
    for (const [bytes, sentence] of wrong) {
      if (bytes === null) {
        files.delete(name);
      } else {
        files.set(name, bytes);
      }
      const result = await imported(`${origin}/set/`);
      expect(result.code).not.toBe(0);
      expect(result.stderr).toMatch(sentence);
    }
  });

  it("with an index of something else is an ordinary file", async () => {
    files.set("/other/index.json", Buffer.from('{"text": "A document."}\n'));
    const result = await imported(`${origin}/other/index.json`);
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(result.text).toBe('{"id":"index.json#1","text":"A document.","source":"index.json"}\n');
  });
});

describe("Parquet", () => {
  it("is the same from a server, from a store, and packed", async () => {
    const bytes = await readFile(table);
    files.set("/table.parquet", bytes);
    store.put("table.parquet", bytes);
    const packed = path.join(folder.path, "packed");
    await mkdir(packed);
    await writeFile(path.join(packed, "table.parquet"), gzipSync(bytes));
    const local = await imported(table, "--text-field", "title");
    expect(local.text.split("\n")).toHaveLength(4);
    for (const input of [`${origin}/table.parquet`, "s3://texts/table.parquet", path.join(packed, "table.parquet")]) {
      const result = await imported(input, "--text-field", "title");
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(result.text, input).toBe(local.text);
    }
    files.set("/table.parquet", bytes.subarray(0, 300));
    const cut = await imported(`${origin}/table.parquet`, "--text-field", "title");
    expect(cut.stderr).toMatch(
      /^table\.parquet: this Parquet file cannot be read \(.+\); fetch or write it again\.\n$/,
    );
  });
});

describe("a web page", () => {
  it("is refused for what it is, at an address of a file and of a folder", async () => {
    files.set(
      "/page",
      Buffer.from("<!DOCTYPE html>\n<html><head><title>No</title></head><body><p>Nothing.</body></html>"),
    );
    files.set("/", Buffer.from("<html><body>Files</body></html>"));
    expect((await imported(`${origin}/page`)).stderr).toBe(
      "page is not imported: it is a web page, not PubMed, JATS or BioC.\n",
    );
    expect((await imported(`${origin}/`)).stderr).toMatch(/^http:\S+ is not imported: it is a web page, [^\n]+\.\n$/);
  });
});
