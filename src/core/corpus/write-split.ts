// The held-out split written to two files: the same documents that data.eval: {fraction: …} of a recipe holds out, so that
// other programs can train and test on them too.
import { rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { makeFolder, syncFolder } from "../runs/durable-file.ts";
import { Appender } from "./appender.ts";
import { lineOf, type ReadCorpusOptions, readCorpus } from "./read-corpus.ts";
import { isHeldOut } from "./split.ts";

export type SplitOptions = {
  readonly inputs: readonly string[];
  /** From 0 to 1. */
  readonly fraction: number;
  readonly train: string;
  readonly heldOut: string;
  readonly replace: boolean;
  readonly signal?: ReadCorpusOptions["signal"];
  readonly onProgress?: ReadCorpusOptions["onProgress"];
  readonly onNotice?: ReadCorpusOptions["onNotice"];
};

export type SplitReport = {
  readonly train: { readonly file: string; readonly documents: number };
  readonly heldOut: { readonly file: string; readonly documents: number };
};

export async function writeSplit(options: SplitOptions): Promise<SplitReport> {
  const files = [options.train, options.heldOut].map((file) => path.resolve(file));
  if (files[0] === files[1]) {
    throw new AppError("BAD_ARGUMENT", "The two parts of a split are two files; name another for one of them.");
  }
  for (const file of files) {
    if (!options.replace && (await stat(file).catch(() => null)) !== null) {
      throw new AppError("BAD_ARGUMENT", `${file} is there already; choose another file, or give --replace.`);
    }
    await makeFolder(path.dirname(file));
  }
  const temporary = files.map((file) => `${file}.splitting-${process.pid}`);
  const appenders: Appender[] = [];
  const counts = [0, 0];
  try {
    for (const file of temporary) {
      appenders.push(await Appender.open(file));
    }
    for await (const batch of readCorpus(options.inputs, options)) {
      for (const document of batch) {
        const part = isHeldOut(document.id, options.fraction) ? 1 : 0;
        counts[part] = (counts[part] ?? 0) + 1;
        await appenders[part]?.add(Buffer.from(lineOf(document)));
      }
    }
    for (const appender of appenders) {
      await appender.sync();
      await appender.close();
    }
    for (const [at, file] of files.entries()) {
      await rename(temporary[at] ?? "", file);
      await syncFolder(path.dirname(file));
    }
  } finally {
    for (const appender of appenders) {
      await appender.close();
    }
    await Promise.all(temporary.map((file) => rm(file, { force: true })));
  }
  const [train = "", heldOut = ""] = files;
  return { train: { file: train, documents: counts[0] ?? 0 }, heldOut: { file: heldOut, documents: counts[1] ?? 0 } };
}
