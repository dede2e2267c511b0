// `assay fetch` against a hub on this machine: what is downloaded, what is checked, and what happens when it breaks off.
import { existsSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { fetchModel } from "#core/models/fetch/fetch";
import { isSafePath, parseRepositoryId } from "#core/models/fetch/hub";
import { readFetchNote } from "#core/models/fetch/note";
import { assay, startAssay } from "../support/command-line.ts";
import { commit, type HubFile, type LocalHub, startHub } from "../support/hub.ts";
import { temporaryFolder } from "../support/workspace.ts";

const weights = Buffer.from(Array.from({ length: 700_001 }, (_, index) => (index * 31 + (index >> 8)) & 0xff));
const tiny: Readonly<Record<string, HubFile>> = {
  "config.json": { content: Buffer.from('{"model_type":"gpt2"}\n') },
  "model.safetensors": { content: weights, isLarge: true },
  "pytorch_model.bin": { content: Buffer.from("the same again"), isLarge: true },
  "tokenizer.json": { content: Buffer.from("{}\n") },
  "README.md": { content: Buffer.from("# tiny\n") },
  "onnx/model.onnx": { content: Buffer.from("another form"), isLarge: true },
};

function fetchInto(hub: LocalHub, folder: string, changes: Partial<Parameters<typeof fetchModel>[0]> = {}) {
  return fetchModel({ source: "hf:org/tiny", folder, endpoint: hub.endpoint, token: null, files: [], ...changes });
}

/** Compared as a whole: an assertion over 700 000 elements takes seconds. */
async function hasWeights(folder: string): Promise<boolean> {
  return weights.equals(await readFile(path.join(folder, "model.safetensors")));
}

function partials(folder: string): Promise<string[]> {
  return readdir(folder).then((names) => names.filter((name) => name.endsWith(".partial")));
}

describe("assay fetch", () => {
  it("downloads the model and its tokenizer, and nothing else", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    const result = await assay([
      "fetch",
      "hf:org/tiny",
      "--workspace",
      folder.path,
      "--endpoint",
      hub.endpoint,
      "--json",
    ]);
    expect(result.stderr).toBe("");
    const out = path.join(folder.path, "models", "org", "tiny");
    expect(JSON.parse(result.stdout)).toMatchObject({ folder: out, repository: "org/tiny", revision: "main", commit });
    expect((await readdir(out)).toSorted()).toEqual([
      "assay-fetch.json",
      "config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
    expect(await hasWeights(out)).toBe(true);
    expect(await readFetchNote(out)).toMatchObject({
      repository: "org/tiny",
      commit,
      files: { "model.safetensors": { size: weights.length, git_blob: null } },
    });
    expect(hub.requests[0]?.url).toBe("/api/models/org/tiny/revision/main?blobs=true");
    // Files are taken from the commit that the list is of, so that a push in between cannot mix two versions.
    expect(hub.requests.slice(1).every(({ url }) => url.startsWith(`/org/tiny/resolve/${commit}/`))).toBe(true);
  });

  it("downloads nothing that is there and whole, and again what is damaged", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    await fetchInto(hub, folder.path);
    const before = hub.requests.length;
    const again = await fetchInto(hub, folder.path);
    expect(again.files.every(({ wasThere }) => wasThere)).toBe(true);
    expect(hub.requests.length).toBe(before + 1);
    await writeFile(path.join(folder.path, "model.safetensors"), Buffer.alloc(weights.length));
    const mended = await fetchInto(hub, folder.path);
    expect(mended.files.filter(({ wasThere }) => !wasThere).map((file) => file.path)).toEqual(["model.safetensors"]);
    expect(await hasWeights(folder.path)).toBe(true);
  });

  it("goes on where a connection was cut, without a byte twice", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    hub.behaviour.cutAfterBytes = 200_000;
    hub.behaviour.cuts = 2;
    const heard: number[] = [];
    await fetchInto(hub, folder.path, { onProgress: ({ doneBytes }) => heard.push(doneBytes) });
    expect(await hasWeights(folder.path)).toBe(true);
    const ranges = hub.requests.filter(({ url }) => url.endsWith("model.safetensors")).map(({ range }) => range);
    expect(ranges[0]).toBe(null);
    expect(ranges.slice(1).map((range) => Number(/\d+/.exec(range ?? "")?.[0]))).toEqual([
      expect.toSatisfy((begin: number) => begin > 0 && begin <= 200_000),
      expect.toSatisfy((begin: number) => begin > 200_000 && begin <= 400_000),
    ]);
    expect(heard).toEqual(heard.toSorted((a, b) => a - b));
  });

  it("starts over where a server does not know ranges", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    hub.behaviour.cutAfterBytes = 300_000;
    hub.behaviour.cuts = 1;
    hub.behaviour.ignoresRanges = true;
    await fetchInto(hub, folder.path);
    expect(await hasWeights(folder.path)).toBe(true);
  });

  it("gives up on a server that always breaks off, keeps what came, and goes on the next time", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    hub.behaviour.cutAfterBytes = 150_000;
    hub.behaviour.cuts = 1;
    const stop = new AbortController();
    hub.behaviour.isSlow = true;
    await expect(
      fetchInto(hub, folder.path, {
        signal: stop.signal,
        onProgress: ({ doneBytes }) => {
          if (doneBytes > 160_000) {
            stop.abort();
          }
        },
      }),
    ).rejects.toMatchObject({ code: "CANCELLED" });
    const [partial = ""] = await partials(folder.path);
    const kept = (await stat(path.join(folder.path, partial))).size;
    hub.behaviour.cutAfterBytes = 0;
    hub.behaviour.cuts = 1_000;
    await expect(fetchInto(hub, folder.path)).rejects.toMatchObject({ code: "FETCH_FAILED" });
    expect((await stat(path.join(folder.path, partial))).size).toBe(kept);
    hub.behaviour.cuts = 0;
    hub.behaviour.isSlow = false;
    await fetchInto(hub, folder.path);
    expect(await hasWeights(folder.path)).toBe(true);
    expect(await partials(folder.path)).toEqual([]);
  });

  it("goes on after it was killed", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    hub.behaviour.isSlow = true;
    const words = [
      "fetch",
      "hf:org/tiny",
      "--out",
      folder.path,
      "--endpoint",
      hub.endpoint,
      "--files",
      "model.safetensors",
    ];
    const first = await startAssay(words);
    for (;;) {
      const [partial] = await partials(folder.path);
      if (partial !== undefined && (await stat(path.join(folder.path, partial))).size > 100_000) {
        break;
      }
      await sleep(10);
    }
    first.child.kill("SIGKILL");
    await first.ended;
    expect(existsSync(path.join(folder.path, "model.safetensors"))).toBe(false);
    hub.behaviour.isSlow = false;
    const asked = hub.requests.length;
    expect((await assay(words)).code).toBe(0);
    expect(await hasWeights(folder.path)).toBe(true);
    const ranges = hub.requests.slice(asked).map(({ range }) => range);
    expect(ranges.some((range) => Number(/\d+/.exec(range ?? "0")?.[0]) >= 100_000)).toBe(true);
    expect(await partials(folder.path)).toEqual([]);
  });

  it("starts over once when what was left of an earlier attempt is damaged", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    hub.behaviour.isSlow = true;
    const stop = new AbortController();
    await expect(
      fetchInto(hub, folder.path, {
        signal: stop.signal,
        onProgress: ({ file, doneBytes }) => {
          if (file === "model.safetensors" && doneBytes > 100_000) {
            stop.abort();
          }
        },
      }),
    ).rejects.toMatchObject({ code: "CANCELLED" });
    const [partial = ""] = await partials(folder.path);
    const file = path.join(folder.path, partial);
    await writeFile(file, Buffer.alloc((await stat(file)).size));
    hub.behaviour.isSlow = false;
    await fetchInto(hub, folder.path);
    expect(await hasWeights(folder.path)).toBe(true);
  });

  it("refuses content that is not what the repository lists, large or small", async () => {
    for (const name of ["model.safetensors", "tokenizer.json"]) {
      await using hub = await startHub(tiny);
      await using folder = await temporaryFolder();
      hub.behaviour.liesAbout = name;
      await expect(fetchInto(hub, folder.path)).rejects.toMatchObject({
        code: "FETCH_HASH_DIFFERS",
        message: expect.stringContaining(name),
      });
      expect(existsSync(path.join(folder.path, name))).toBe(false);
      expect(await partials(folder.path)).toEqual([]);
    }
  });

  it("follows redirects, but never carries the access token to another server", async () => {
    await using hub = await startHub(tiny);
    await using storage = await startHub(tiny);
    await using folder = await temporaryFolder();
    hub.behaviour.redirectTo = storage.endpoint;
    await fetchInto(hub, folder.path, { token: "secret" });
    expect(await hasWeights(folder.path)).toBe(true);
    expect(new Set(hub.requests.map(({ token }) => token))).toEqual(new Set(["Bearer secret"]));
    expect(storage.requests.length).toBe(3);
    expect(new Set(storage.requests.map(({ token }) => token))).toEqual(new Set([null]));
  });

  it("ends when redirects go in circles", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    hub.behaviour.redirectTo = hub.endpoint;
    await expect(fetchInto(hub, folder.path)).rejects.toMatchObject({ code: "FETCH_FAILED" });
  });

  it("refuses a repository that lists a file outside its folder", async () => {
    for (const name of ["../evil.json", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:evil", "a//b", "nul\u0000"]) {
      await using hub = await startHub(tiny);
      await using folder = await temporaryFolder();
      hub.behaviour.extraNames = [name];
      await expect(fetchInto(hub, folder.path, { files: ["**"] }), name).rejects.toMatchObject({
        code: "FETCH_NOT_ALLOWED",
      });
      expect(await readdir(folder.path)).toEqual([]);
    }
    expect(isSafePath("onnx/model.onnx")).toBe(true);
  });

  it("takes only the files that are named, and says which are there when none fits", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    const report = await fetchInto(hub, folder.path, { files: ["tokenizer*", "onnx/*"] });
    expect(report.files.map((file) => file.path)).toEqual(["tokenizer.json", "onnx/model.onnx"]);
    await expect(fetchInto(hub, folder.path, { files: ["*.gguf"] })).rejects.toMatchObject({
      code: "FETCH_NOT_FOUND",
      message: expect.stringContaining("config.json"),
    });
  });

  it("prefers safetensors to .bin, whole files to shards, and takes every shard", async () => {
    const content = Buffer.from("{}");
    for (const [names, expected] of [
      [["pytorch_model.bin", "model.safetensors"], ["model.safetensors"]],
      [["pytorch_model.bin", "training_args.bin"], ["pytorch_model.bin"]],
      [
        ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
      ],
      [["pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"], undefined],
    ] as const) {
      await using hub = await startHub(Object.fromEntries(names.map((name) => [name, { content }])));
      await using folder = await temporaryFolder();
      const report = await fetchInto(hub, folder.path);
      expect(report.files.map((file) => file.path)).toEqual(expected ?? names);
    }
  });

  it("says in one sentence what a server refuses", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    for (const [status, code, words] of [
      [401, "FETCH_NOT_ALLOWED", "HF_TOKEN"],
      [403, "FETCH_NOT_ALLOWED", "gated"],
      [404, "FETCH_NOT_FOUND", "no org/tiny at main"],
      [429, "FETCH_FAILED", "wait"],
      [500, "FETCH_FAILED", "later"],
    ] as const) {
      hub.behaviour.status = status;
      await expect(fetchInto(hub, folder.path)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(new RegExp(`${words}.*\\.$|\\.$`)),
      });
      await expect(fetchInto(hub, folder.path)).rejects.toThrow(words);
    }
    hub.behaviour.status = null;
    await expect(fetchInto(hub, folder.path, { source: "hf:org/other" })).rejects.toMatchObject({
      code: "FETCH_NOT_FOUND",
    });
    for (const answer of ["<html>", "{}", '{"sha":"x","siblings":[]}', "[".repeat(100_000)]) {
      hub.behaviour.answer = answer;
      await expect(fetchInto(hub, folder.path)).rejects.toMatchObject({ code: "FETCH_FAILED" });
    }
  });

  it("says that a server cannot be reached, or has fallen silent", async () => {
    const hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    const { endpoint } = hub;
    await hub[Symbol.asyncDispose]();
    await expect(fetchInto(hub, folder.path)).rejects.toMatchObject({
      code: "FETCH_FAILED",
      message: expect.stringContaining(endpoint),
    });
    const net = await import("node:net");
    const silent = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => {
      silent.once("listening", resolve);
    });
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await expect(
      fetchInto(hub, folder.path, { endpoint: `http://127.0.0.1:${port}`, silenceSeconds: 0.2 }),
    ).rejects.toMatchObject({ code: "FETCH_FAILED", message: expect.stringContaining("sent nothing") });
    silent.close();
  });

  it("takes the access token from the variable that is named, and the hub from $HF_ENDPOINT", async () => {
    await using hub = await startHub(tiny);
    await using folder = await temporaryFolder();
    const words = ["fetch", "hf:org/tiny", "--out", folder.path, "--files", "config.json", "--token-env", "MY_TOKEN"];
    expect((await assay(words, { HF_ENDPOINT: `${hub.endpoint}/`, MY_TOKEN: "abc" })).code).toBe(0);
    expect(hub.requests.every(({ token }) => token === "Bearer abc")).toBe(true);
    const without = await assay(words, { HF_ENDPOINT: hub.endpoint, MY_TOKEN: "" });
    expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining("MY_TOKEN") });
  });

  it("reads the name of a repository, and refuses what is none", () => {
    expect(parseRepositoryId("hf:stanford-crfm/BioMedLM")).toEqual({
      name: "stanford-crfm/BioMedLM",
      revision: "main",
    });
    expect(parseRepositoryId("hf:gpt2@refs/pr/2")).toEqual({ name: "gpt2", revision: "refs/pr/2" });
    for (const text of ["hf:", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a b", "hf:a/b@", "hf:a/b@../x", "hf:/etc"]) {
      expect(() => parseRepositoryId(text), text).toThrow(/not the name of a repository/);
    }
  });
});
