// Times node-llama-cpp on the same work as bench-infer, and prints the same JSON line:
//   node node-peer.mjs --package FOLDER --model FILE.gguf [--tokens 64] [--rounds 3] [--threads 2]
// The package lies outside the repository: it carries 725 MB of libraries.
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    package: { type: "string" },
    model: { type: "string" },
    tokens: { type: "string", default: "64" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
  },
});
const folder = values.package ?? "";
const { version, exports } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
const entry = exports["."].import?.default ?? exports["."].import ?? "dist/index.js";
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(path.join(folder, entry)).href);

// bench-infer's.
function someTokens(count, seed) {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % 50_256;
  });
}

const count = Number(values.tokens);
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.disabled });
const model = await llama.loadModel({ modelPath: values.model });
const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads: Number(values.threads) });
const sequence = context.getSequence();
const seconds = [];
let ids = [];
// The first round warms up.
for (let round = 0; round <= Number(values.rounds); round += 1) {
  await sequence.clearHistory();
  ids = [];
  let text = "";
  let start = 0;
  for await (const token of sequence.evaluate(someTokens(16, 1), { temperature: 0 })) {
    // The first token comes from the prompt's logits.
    start = ids.length === 0 ? performance.now() : start;
    ids.push(token);
    text += model.detokenize([token]);
    if (ids.length === count) {
      break;
    }
  }
  if (round > 0 && text !== "") {
    seconds.push((performance.now() - start) / 1000);
  }
}
process.stdout.write(
  `${JSON.stringify({ version, tokens: count, threads: Number(values.threads), decode_seconds: seconds, ids })}\n`,
);
// Taking its threads and libraries down in order takes longer than the measurement.
process.exit(0);
