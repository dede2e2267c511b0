// A part goes on where it stopped, and identities are settled the same in one pass or many.
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fates, IDENTITY_BYTES, identityKinds, settleIdentities, writeIdentity } from "./identity.ts";
import { importPart, partFiles } from "./part.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-part-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("cuts what it is not sure of and goes on behind the last record it holds", async () => {
  const location = path.join(folder, "in.jsonl");
  const lines = Array.from({ length: 4000 }, (_, at) =>
    JSON.stringify({ id: `d${at}`, text: at % 7 === 0 ? " " : `text ${at} `.repeat(40) }),
  );
  await writeFile(location, `${lines.join("\n")}\n`);
  const { size, mtimeMs } = await stat(location);
  const source = { location, name: "in.jsonl", sizeBytes: size, modifiedMs: mtimeMs };
  const options = {
    source,
    folder,
    read: { format: null, textFields: ["text"], idField: null, textUnit: "file" },
    skipUnknown: false,
    skipBroken: false,
  } as const;
  const whole = await importPart({ ...options, index: 0 });
  expect(whole).toMatchObject({ isDone: true, records: 4000, documents: 3428 });

  // Stopped in the middle, with a death in the middle of a write behind it.
  const stop = new AbortController();
  await expect(
    importPart({
      ...options,
      index: 1,
      signal: stop.signal,
      onProgress: ({ documents }) => {
        if (documents > 500) {
          stop.abort();
        }
      },
    }),
  ).rejects.toMatchObject({ code: "CANCELLED" });
  const files = partFiles(folder, 1);
  const half = JSON.parse(await readFile(files.state, "utf8")) as { records: number; isDone: boolean };
  expect(half.isDone).toBe(false);
  expect(half.records).toBeGreaterThan(500);
  expect(half.records).toBeLessThan(4000);
  await appendFile(files.lines, '{"id":"torn');
  await appendFile(files.identities, Buffer.alloc(7));
  await appendFile(files.ledger, '{"rule"');
  expect(await importPart({ ...options, index: 1 })).toEqual(whole);
  const expected = partFiles(folder, 0);
  for (const name of ["lines", "identities", "ledger"] as const) {
    expect((await readFile(files[name])).equals(await readFile(expected[name]))).toBe(true);
  }
});

it("settles identities the same in one pass and in many", async () => {
  const records: { id: string; kind: number; version: number }[] = [];
  for (let at = 0; at < 3000; at += 1) {
    const kind =
      at % 50 === 49 ? identityKinds.deletion : at % 11 === 0 ? identityKinds.own : identityKinds.publication;
    records.push({
      id: `${kind === identityKinds.own ? "own" : "p"}:${(at * 7919) % 700}`,
      kind,
      version: 1 + (at % 3 === 0 ? 1 : 0),
    });
  }
  const bytes = Buffer.alloc(records.length * IDENTITY_BYTES);
  for (const [at, { id, kind, version }] of records.entries()) {
    writeIdentity(bytes, at * IDENTITY_BYTES, id, kind, version);
  }
  const files = [path.join(folder, "a.ids"), path.join(folder, "b.ids")];
  await writeFile(files[0] ?? "", bytes.subarray(0, 1000 * IDENTITY_BYTES));
  await writeFile(files[1] ?? "", bytes.subarray(1000 * IDENTITY_BYTES));

  // The plain way: a map of what stays, in order.
  const expected = new Uint8Array(records.length);
  const last = new Map<string, number>();
  for (const [at, { id, kind, version }] of records.entries()) {
    const before = last.get(id);
    if (kind === identityKinds.deletion) {
      expected[at] = fates.noDocument;
      if (before !== undefined) {
        expected[before] = fates.deleted;
      }
      last.delete(id);
    } else if (before === undefined) {
      last.set(id, at);
    } else if (kind === identityKinds.own) {
      expected[at] = fates.renamed;
    } else if (version >= (records[before]?.version ?? 0)) {
      expected[before] = fates.superseded;
      last.set(id, at);
    } else {
      expected[at] = fates.superseded;
    }
  }
  for (const idsAtOnce of [10_000, 500, 97]) {
    expect(await settleIdentities(files, records.length, idsAtOnce)).toEqual(expected);
  }
});
