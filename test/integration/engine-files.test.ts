// The addon's edges: files that lie, arguments of the wrong kind, handles used after their end, and the order of data.
import { execFile } from "node:child_process";
import { readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, it, vi } from "vitest";
import { addonCandidates, loadAddon } from "#core/engine/addon";
import { epochPermutation, windowAt, windowCount, windowOfSample } from "#shared/domain/data-order";
import golden from "../golden/data-order.json" with { type: "json" };
import { someDocuments, tinyConfig, tinyTraining, writeTokenCache } from "../support/engine.ts";
import { temporaryFolder } from "../support/workspace.ts";

const addon = loadAddon();
const failure = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

describe("data order", () => {
  it("is the shared test vectors in TypeScript and in the engine", () => {
    for (const vector of golden.cases) {
      const permutation = epochPermutation(vector.windowCount, vector.seed, vector.epoch);
      const positions = vector.windows.map((_, index) => vector.from + index);
      expect(positions.map((position) => windowAt(permutation, position))).toEqual(vector.windows);
      expect([...addon.dataOrder(vector)]).toEqual(vector.windows);
    }
  });

  it("is the shared test vectors in Python", async () => {
    const root = path.resolve(import.meta.dirname, "..", "..");
    const script = path.join(root, "bench", "parity", "data_order.py");
    const { stdout } = await promisify(execFile)("python3", [
      script,
      "--check",
      path.join(root, "test", "golden", "data-order.json"),
    ]);
    expect(stdout).toContain(`${golden.cases.length} vectors agree`);
  });

  it("counts windows and walks over the end of an epoch", () => {
    expect([windowCount(0, 8), windowCount(8, 8), windowCount(9, 8), windowCount(24, 8), windowCount(25, 8)]).toEqual([
      0, 0, 1, 2, 3,
    ]);
    const second = Array.from({ length: 7 }, (_, index) => windowOfSample(7, 5, 7 + index));
    expect(second).toEqual([...addon.dataOrder({ windowCount: 7, seed: 5, epoch: 1, from: 0, to: 7 })]);
    expect(() => epochPermutation(0, 1, 0)).toThrow("1 to 4294967295");
    expect(() => epochPermutation(5, 1.5, 0)).toThrow("seed");
  });
});

describe("token data", () => {
  it("tells what it holds, and that it is closed", async () => {
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), [[1, 2, 3], [], [4]]));
    expect({ ...data, d: data.documentCount, t: data.tokenCount, v: data.vocabSize, e: data.endOfTextId }).toEqual({
      d: 3,
      t: 7,
      v: 97,
      e: 96,
    });
    expect(data.windowCount(3)).toBe(2);
    expect(() => data.windowCount(0)).toThrow(failure("BAD_ARGUMENT", "seqLen"));
    data.close();
    data.close();
    expect(() => data.tokenCount).toThrow(failure("ENGINE_DISPOSED", "closed"));
  });

  it("refuses a missing, a cut and a newer cache, each with its code", async () => {
    await using folder = await temporaryFolder();
    const cache = await writeTokenCache(path.join(folder.path, "cache"), someDocuments(3));
    expect(() => addon.openTokenData(path.join(folder.path, "none"))).toThrow(
      failure("FILE_NOT_READABLE", "tokens.bin"),
    );
    await truncate(path.join(cache, "tokens.bin"), 11);
    expect(() => addon.openTokenData(cache)).toThrow(failure("TOKEN_CACHE_DAMAGED", "11 bytes"));
    await writeTokenCache(cache, someDocuments(3), { format_version: 9 });
    expect(() => addon.openTokenData(cache)).toThrow(failure("FORMAT_VERSION_UNKNOWN", "format 9"));
  });

  it("may be closed while a step still reads it", async () => {
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), someDocuments(30)));
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    await model.initialize(1);
    await model.prepareTraining(tinyTraining());
    const step = model.trainStep({ data, step: 1, lr: 1e-3, shuffleSeed: 1 });
    data.close();
    expect((await step).applied).toBe(true);
    expect(() => model.trainStep({ data, step: 2, lr: 1e-3, shuffleSeed: 1 })).toThrow(
      failure("ENGINE_DISPOSED", "closed"),
    );
    model.dispose();
  });
});

describe("weights", () => {
  it("come back as written, with a header that names them as Hugging Face does", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "model.safetensors");
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    await model.initialize(5);
    await model.saveWeights(file);
    const header = addon.readSafetensorsHeader(file);
    expect(header.metadata).toEqual({ format: "pt" });
    expect(header.tensors.map(({ name, shape }) => ({ name, shape }))).toEqual(model.parameters());
    expect(header.tensors.map(({ name }) => name)).toContain("transformer.h.1.attn.c_attn.weight");
    const other = addon.createModel(tinyConfig(), { threads: 1 });
    await other.loadWeights(file);
    expect(await other.readTensor("transformer.wpe.weight")).toEqual(await model.readTensor("transformer.wpe.weight"));
    model.dispose();
    other.dispose();
  });

  it("are refused by tensor and shape when they belong to another model, and as damage when cut or altered", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "model.safetensors");
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    await model.initialize(5);
    await model.saveWeights(file);
    const wider = addon.createModel(tinyConfig({ vocabSize: 98 }), { threads: 1 });
    await expect(wider.loadWeights(file)).rejects.toEqual(
      failure("CHECKPOINT_MISMATCH", "transformer.wte.weight has shape (97, 32) there and (98, 32)"),
    );
    const deeper = addon.createModel(tinyConfig({ nLayers: 3 }), { threads: 1 });
    await expect(deeper.loadWeights(file)).rejects.toEqual(
      failure("CHECKPOINT_MISMATCH", "transformer.h.2.ln_1.weight"),
    );

    const bytes = await readFile(file);
    await truncate(file, bytes.length - 1);
    await expect(model.loadWeights(file)).rejects.toEqual(failure("SAFETENSORS_DAMAGED", "the file was cut"));
    bytes[6] = 0xff;
    await writeFile(file, bytes);
    await expect(model.loadWeights(file)).rejects.toEqual(failure("SAFETENSORS_DAMAGED", "announces a header"));
    expect(() => addon.readSafetensorsHeader(file)).toThrow(failure("SAFETENSORS_DAMAGED", file));
    await expect(model.loadWeights(path.join(folder.path, "none"))).rejects.toEqual(
      failure("FILE_NOT_READABLE", "none"),
    );
    await expect(model.saveWeights(path.join(folder.path, "no", "where"))).rejects.toEqual(
      failure("FILE_NOT_WRITABLE", "where"),
    );
    for (const each of [model, wider, deeper]) {
      each.dispose();
    }
  });

  it("are read and written by name and size", async () => {
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    await expect(model.readTensor("transformer.nothing")).rejects.toEqual(
      failure("TENSOR_UNKNOWN", "transformer.nothing"),
    );
    await expect(model.writeTensor("transformer.ln_f.bias", new Float32Array(31))).rejects.toEqual(
      failure("TENSOR_SIZE_MISMATCH", "31"),
    );
    model.dispose();
  });
});

describe("a model", () => {
  it("names the argument that is wrong", () => {
    const create =
      (changes: object, threads: unknown = 1) =>
      () =>
        // as: the point is to pass what the types forbid
        addon.createModel({ ...tinyConfig(), ...changes }, { threads: threads as number });
    expect(create({ family: "llama" })).toThrow(failure("BAD_ARGUMENT", "llama"));
    expect(create({ vocabSize: 0 })).toThrow(failure("BAD_ARGUMENT", "vocabSize"));
    expect(create({ nLayers: "two" })).toThrow(failure("BAD_ARGUMENT", "nLayers"));
    expect(create({ nHeads: 5 })).toThrow(/5/);
    expect(create({ embdPdrop: 2 })).toThrow(/pdrop/i);
    expect(create({}, -1)).toThrow(failure("BAD_ARGUMENT", "threads"));
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    // as: see above
    expect(() => model.trainStep({ data: {} as never, step: 1, lr: 1, shuffleSeed: 1 })).toThrow(
      failure("BAD_ARGUMENT", "openTokenData"),
    );
    expect(() => model.initialize(-1)).toThrow(failure("BAD_ARGUMENT", "seed"));
    expect(() => model.loadWeights(7 as never)).toThrow(failure("BAD_ARGUMENT", "file"));
    model.dispose();
  });

  it("says that it is disposed, and frees twice without harm", async () => {
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    const running = model.initialize(1);
    model.dispose();
    model.dispose();
    await running.catch((error: unknown) => expect(error).toEqual(failure("ENGINE_DISPOSED", "disposed")));
    expect(() => model.initialize(1)).toThrow(failure("ENGINE_DISPOSED", "disposed"));
    expect(() => model.planTraining(tinyTraining())).toThrow(failure("ENGINE_DISPOSED", "disposed"));
  });

  it("runs calls in the order given and refuses to queue without end", async () => {
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    const ones = new Float32Array(32).fill(1);
    const order = [
      model.initialize(1),
      model.writeTensor("transformer.ln_f.bias", ones),
      model.readTensor("transformer.ln_f.bias"),
    ] as const;
    expect((await Promise.all(order))[2]).toEqual(ones);
    const many: Promise<unknown>[] = [];
    expect(() => {
      for (let count = 0; count < 5000; count += 1) {
        many.push(model.initialize(count));
      }
    }).toThrow(failure("ENGINE_BUSY", "1024"));
    await Promise.all(many);
    model.dispose();
  });

  it("does not keep or crash a process or a worker that ends while it works", async () => {
    const [file] = addonCandidates();
    const source = `
      const addon = require(${JSON.stringify(file)});
      const model = addon.createModel(${JSON.stringify(tinyConfig())}, { threads: 2 });
      model.initialize(1);
      const request = { prompt: new Uint32Array([1]), maxNewTokens: 1e9, temperature: 1, topK: 0, topP: 1, seed: 1, stopIds: new Uint32Array() };
      model.generate(request, (token) => { if (token.index === 3) process.exit(0); });`;
    await promisify(execFile)(process.execPath, ["-e", source]);
    const worker = new Worker(source, { eval: true });
    const code = await new Promise((resolve) => worker.once("exit", resolve));
    expect(code).toBe(0);
    await promisify(execFile)(process.execPath, [
      "-e",
      `require(${JSON.stringify(file)}).createModel(${JSON.stringify(tinyConfig())}, { threads: 2 }).initialize(1)`,
    ]);
  });
});

describe("machine", () => {
  it("says what the engine runs on", () => {
    const machine = addon.machine();
    expect(machine.logicalCores).toBeGreaterThanOrEqual(machine.physicalCores);
    expect(machine.memoryBytes).toBeGreaterThan(2 ** 28);
    expect(machine.engineVersion).toMatch(/^\d+\.\d+\.\d+/);
    expect(machine.onednnVersion === null).toBe(machine.gemm === "portable");
  });
});

describe("loadAddon", () => {
  it("names the file and the command that builds it when the addon is missing or broken", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "assay.node");
    vi.stubEnv("ASSAY_ADDON", file);
    vi.resetModules();
    const fresh = await import("#core/engine/addon");
    expect(() => fresh.loadAddon()).toThrow(failure("ADDON_NOT_BUILT", `${file}); run "npm run build:native"`));
    await writeFile(file, "not a library");
    expect(() => fresh.loadAddon()).toThrow(failure("ADDON_NOT_BUILT", "npm run build:native"));
    vi.unstubAllEnvs();
  });
});
