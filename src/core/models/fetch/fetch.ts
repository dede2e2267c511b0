// Fetches a model or tokenizer from a hub into a folder, when asked: lists, chooses, downloads one file after the other,
// and leaves a note of where everything came from.
import path from "node:path";
import { checkFreeDisk } from "../../runs/checkpoints.ts";
import { makeFolder } from "../../runs/durable-file.ts";
import { chooseFiles } from "./choose.ts";
import { type Downloaded, downloadFile } from "./download.ts";
import { fileAddress, listRepository, parseRepositoryId } from "./hub.ts";
import { writeFetchNote } from "./note.ts";
import { readEndpoint } from "./request.ts";

export type FetchProgress = {
  readonly file: string;
  readonly doneBytes: number;
  /** Null where the hub does not say how large a file is. */
  readonly totalBytes: number | null;
};

export type FetchReport = {
  readonly folder: string;
  readonly repository: string;
  readonly revision: string;
  readonly commit: string;
  readonly files: readonly Downloaded[];
};

/** The folder of a repository in a workspace. */
export function fetchedFolder(workspace: string, source: string): string {
  return path.join(workspace, "models", ...parseRepositoryId(source).name.split("/"));
}

const SILENCE_SECONDS = 60;

export async function fetchModel(options: {
  /** `hf:ORG/NAME@REVISION` */
  readonly source: string;
  readonly folder: string;
  readonly endpoint: string;
  readonly token: string | null;
  /** Globs over the repository's paths; none means the model and its tokenizer. */
  readonly files: readonly string[];
  readonly silenceSeconds?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: FetchProgress) => void;
}): Promise<FetchReport> {
  const server = {
    endpoint: readEndpoint(options.endpoint),
    token: options.token,
    silenceSeconds: options.silenceSeconds ?? SILENCE_SECONDS,
    signal: options.signal,
  };
  const id = parseRepositoryId(options.source);
  const repository = await listRepository(id, server);
  const chosen = chooseFiles(repository, options.files);
  const isSizeKnown = chosen.every(({ size }) => size !== null);
  const totalBytes = chosen.reduce((sum, { size }) => sum + (size ?? 0), 0);
  await makeFolder(options.folder);
  await checkFreeDisk(options.folder, totalBytes, id.name);
  const files: Downloaded[] = [];
  let doneBytes = 0;
  for (const file of chosen) {
    const downloaded = await downloadFile({
      url: fileAddress(repository, file, server),
      target: path.join(options.folder, ...file.path.split("/")),
      file,
      server,
      onBytes: (bytes) =>
        options.onProgress?.({
          file: file.path,
          doneBytes: doneBytes + bytes,
          totalBytes: isSizeKnown ? totalBytes : null,
        }),
    });
    doneBytes += downloaded.bytes;
    files.push(downloaded);
  }
  const report = {
    folder: options.folder,
    repository: id.name,
    revision: id.revision,
    commit: repository.commit,
    files,
  };
  await writeFetchNote(options.folder, {
    repository: id.name,
    revision: id.revision,
    commit: repository.commit,
    endpoint: server.endpoint,
    files: Object.fromEntries(
      chosen.map((file) => [file.path, { size: file.size, sha256: file.sha256, git_blob: file.gitBlob }]),
    ),
  });
  return report;
}
