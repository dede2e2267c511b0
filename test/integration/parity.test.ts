// The engine against PyTorch fp32 on a tiny model without dropout: loss, logits, every gradient, twenty optimizer steps in
// the same data order, and the checkpoint through a plain Python reader. bench/parity/check_parity.py does the comparing.
import { execFile, spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeModel } from "#core/engine/addon";
import {
  pseudoRandom,
  someDocuments,
  TINY_VOCABULARY,
  tinyConfig,
  tinyTraining,
  writeTokenCache,
} from "../support/engine.ts";
import { temporaryFolder } from "../support/workspace.ts";

// Debian's python3-torch belongs to Debian's interpreter, which need not be the first in PATH.
const python = "/usr/bin/python3";
const hasTorch = spawnSync(python, ["-c", "import torch, numpy"]).status === 0;

/** Every tensor off its special initial value: biases and norms too must matter. */
async function perturb(model: NativeModel): Promise<void> {
  const random = pseudoRandom(11);
  for (const { name, shape } of model.parameters()) {
    const values = await model.readTensor(name);
    const spread = shape.length === 1 ? 0.2 : 0.1;
    await model.writeTensor(
      name,
      values.map((value) => value * 3 + spread * (random(2 ** 20) / 2 ** 20 - 0.5)),
    );
  }
}

describe.skipIf(!hasTorch)(
  `the engine and PyTorch${hasTorch ? "" : " (python3-torch is not installed: apt-get install python3-torch)"}`,
  () => {
    it("agree on loss, logits and gradients, on twenty steps of training, and on the checkpoint's bytes", async () => {
      await using folder = await temporaryFolder();
      const file = (...names: readonly string[]) => path.join(folder.path, ...names);
      const addon = loadAddon();
      const config = tinyConfig();
      const options = tinyTraining({
        microbatchSize: 3,
        globalBatchSize: 5,
        optimizer: { lr: 2e-3, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 1e-2, noDecay: ["*.bias", "*.ln_*"] },
        gradientClipping: 0.5,
      });
      const model = addon.createModel(config, { threads: 2 });
      await model.initialize(17);
      await perturb(model);
      await model.saveWeights(file("initial.safetensors"));
      await model.prepareTraining(options);

      const random = pseudoRandom(23);
      const [batch, seqLen] = [3, 29];
      const tokens = Int32Array.from({ length: batch * (seqLen + 1) }, () => random(TINY_VOCABULARY));
      const { loss } = await model.computeGradients({ tokens, batch, seqLen });
      await mkdir(file("gradients"));
      for (const { name } of model.parameters()) {
        await writeFile(file("gradients", `${name}.f32`), await model.readGradient(name));
      }
      const logitsTokens = tokens.slice(0, 32);
      await writeFile(file("logits.f32"), await model.logits(logitsTokens));

      const cache = await writeTokenCache(file("cache"), someDocuments(20));
      const data = addon.openTokenData(cache);
      const steps = Array.from({ length: 20 }, (_, index) => index + 1);
      const losses: number[] = [];
      const gradNorms: number[] = [];
      for (const step of steps) {
        const result = await model.trainStep({ data, step, lr: options.optimizer.lr, shuffleSeed: 7 });
        losses.push(result.loss);
        gradNorms.push(result.gradNorm);
      }
      await model.saveWeights(file("trained.safetensors"));
      const sums: Record<string, number> = {};
      for (const { name } of model.parameters()) {
        sums[name] = (await model.readTensor(name)).reduce((sum, value) => sum + value, 0);
      }
      await writeFile(
        file("case.json"),
        JSON.stringify({
          config,
          parameters: model.parameters(),
          gradients: { tokens: [...tokens], batch, seqLen },
          logits: { tokens: [...logitsTokens] },
          training: {
            cache,
            shuffleSeed: 7,
            seqLen: options.seqLen,
            globalBatchSize: options.globalBatchSize,
            steps: steps.length,
            ...options.optimizer,
            clipping: options.gradientClipping,
          },
          engine: { loss, losses, gradNorms, sums },
        }),
      );
      model.dispose();

      const script = path.resolve(import.meta.dirname, "..", "..", "bench", "parity", "check_parity.py");
      const { stdout } = await promisify(execFile)(python, [script, folder.path]).catch(
        (error: { stdout?: string; message: string }) => ({
          stdout: error.stdout || error.message,
        }),
      );
      const report: { ok: boolean; failures: string[]; "tensors read back": number } = JSON.parse(stdout);
      expect(report.failures).toEqual([]);
      expect(report).toMatchObject({ ok: true, "tensors read back": 28 });
      expect(losses[19]).toBeLessThan((losses[0] ?? 0) * 0.95);
    });
  },
);
