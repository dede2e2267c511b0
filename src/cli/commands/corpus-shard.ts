// assay corpus shard.
import { parseCompression } from "#core/corpus/mds/compression";
import { shardCorpus } from "#core/corpus/mds/write-corpus";
import { loadTokenizer } from "#core/tokenizer/load";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatBytes, formatCount, note, Progress, say, sayJson } from "../output.ts";
import { readSize } from "../size.ts";

export const corpusShardCommand: CommandSpec = {
  name: "corpus shard",
  summary:
    "write a corpus as a folder of MDS shards, MosaicML's format: raw text (columns id, text), or with --tokenizer tokens\n" +
    "(id, tokens) with end-of-text after each document",
  operands: "PATH…",
  minOperands: 1,
  maxOperands: 100_000,
  options: {
    out: { type: "string", value: "FOLDER", help: "the folder to write" },
    tokenizer: { type: "string", value: "PATH", help: "write tokens: a folder, a tokenizer.json, or gpt2" },
    compression: { type: "string", value: "zstd:7", help: "compress each shard: zstd[:1-22] or gz[:0-9]" },
    "size-limit": { type: "string", value: "64MiB", help: "bytes of a shard before compression (default 64MiB)" },
    hashes: { type: "string", value: "sha1,xxh64", help: "hashes in the index (default sha1)" },
  },
  run: async (call) => {
    const out = call.text("out");
    if (out === undefined) {
      throw badRequest("`assay corpus shard` needs --out FOLDER.");
    }
    const tokenizer = call.text("tokenizer");
    const compression = call.text("compression");
    const limit = call.text("size-limit");
    const progress = new Progress("writing", "bytes");
    const report = await shardCorpus({
      inputs: call.operands,
      directory: out,
      tokenizer: tokenizer === undefined ? null : await loadTokenizer(tokenizer),
      compression: compression === undefined ? null : parseCompression(compression, "--compression"),
      hashes: (call.text("hashes") ?? "sha1").split(",").filter((name) => name !== ""),
      ...(limit === undefined ? {} : { sizeLimitBytes: readSize(limit, "--size-limit") }),
      onNotice: note,
      onProgress: ({ done, total }) => progress.update(done, total),
    });
    progress.end("done");
    if (call.json) {
      sayJson(report);
      return;
    }
    const tokens = report.tokens === null ? "" : `, ${formatCount(report.tokens)} tokens`;
    const empty = report.emptyDocuments === 0 ? "" : `; ${formatCount(report.emptyDocuments)} empty ones left out`;
    say(
      `${formatCount(report.documents)} documents (${formatBytes(report.textBytes)} of text${tokens}) in ${report.shards} shards of ${formatBytes(report.storedBytes)}: ${report.directory}${empty}`,
    );
  },
};
