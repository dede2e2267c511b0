// A repository on a model hub that speaks the Hugging Face Hub's API: its name as a person writes it, the list of its
// files with sizes and hashes, and what its answers mean. Nothing is asked of any server until somebody asks for a model.
import { z } from "zod";
import { AppError } from "#shared/errors";
import { request, type Server } from "./request.ts";

export const PUBLIC_ENDPOINT = "https://huggingface.co";

export type RepositoryId = {
  /** `ORG/NAME`, or a bare name for the oldest models. */
  readonly name: string;
  readonly revision: string;
};

export type RepositoryFile = {
  /** Relative, with slashes; checked: it stays inside the folder it is written to. */
  readonly path: string;
  readonly size: number | null;
  /** Of the content, for large files. */
  readonly sha256: string | null;
  /** Git's, of the content with its length in front, for small files. */
  readonly gitBlob: string | null;
};

export type Repository = {
  readonly id: RepositoryId;
  /** The commit that the revision stands for now; every file is taken from it. */
  readonly commit: string;
  readonly files: readonly RepositoryFile[];
};

const part = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;

/** `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`. */
export function parseRepositoryId(text: string): RepositoryId {
  const rest = text.startsWith("hf:") ? text.slice(3) : text;
  const at = rest.indexOf("@");
  const name = at < 0 ? rest : rest.slice(0, at);
  const revision = at < 0 ? "main" : rest.slice(at + 1);
  const parts = name.split("/");
  const isName = parts.length <= 2 && parts.every((each) => part.test(each) && !each.includes(".."));
  if (!isName || !/^[A-Za-z0-9._/-]{1,128}$/.test(revision) || revision.includes("..")) {
    throw new AppError(
      "BAD_ARGUMENT",
      `"${text}" is not the name of a repository; write hf:ORGANISATION/NAME, and @REVISION behind it for another than main.`,
    );
  }
  return { name, revision };
}

/** A path that could leave the folder, or mean something else on another system, is refused. */
export function isSafePath(path: string): boolean {
  return (
    path.length > 0 &&
    path.length <= 1024 &&
    !/[\\:*?"<>|]|\p{Cc}/u.test(path) &&
    path.split("/").every((each) => each !== "" && each !== "." && each !== ".." && !/[. ]$/.test(each))
  );
}

const hex = (length: number) => z.string().regex(new RegExp(`^[0-9a-f]{${length}}$`));

const answerSchema = z.object({
  sha: hex(40),
  siblings: z
    .array(
      z.object({
        rfilename: z.string(),
        size: z.number().int().min(0).nullish(),
        blobId: hex(40).nullish(),
        lfs: z.object({ sha256: hex(64), size: z.number().int().min(0) }).nullish(),
      }),
    )
    .max(100_000),
});

/** No list of files is longer; what is must be something else. */
const LARGEST_ANSWER_BYTES = 32 << 20;

export async function listRepository(id: RepositoryId, server: Server): Promise<Repository> {
  const url = `${server.endpoint}/api/models/${id.name}/revision/${encodeURIComponent(id.revision)}?blobs=true`;
  const response = await request(url, server, { what: `${id.name} at ${id.revision}` });
  let json: unknown;
  try {
    json = JSON.parse(await response.text(LARGEST_ANSWER_BYTES));
  } catch (cause) {
    if (cause instanceof AppError) {
      throw cause;
    }
    throw new AppError("FETCH_FAILED", `${server.endpoint} does not answer as a model hub does; check --endpoint.`, {
      cause,
    });
  }
  const parsed = answerSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new AppError(
      "FETCH_FAILED",
      `${server.endpoint} does not answer as a model hub does (${issue?.path.join(".")}: ${issue?.message}); check --endpoint.`,
    );
  }
  const unsafe = parsed.data.siblings.find(({ rfilename }) => !isSafePath(rfilename));
  if (unsafe !== undefined) {
    throw new AppError(
      "FETCH_NOT_ALLOWED",
      `${id.name} lists a file called ${JSON.stringify(unsafe.rfilename)}, which could be written outside its folder; nothing was downloaded.`,
    );
  }
  return {
    id,
    commit: parsed.data.sha,
    files: parsed.data.siblings.map(({ rfilename, size, blobId, lfs }) => ({
      path: rfilename,
      size: lfs?.size ?? size ?? null,
      sha256: lfs?.sha256 ?? null,
      // Git's id of a large file is that of its pointer.
      gitBlob: lfs === null || lfs === undefined ? (blobId ?? null) : null,
    })),
  };
}

export function fileAddress(repository: Repository, file: RepositoryFile, server: Server): string {
  const path = file.path.split("/").map(encodeURIComponent).join("/");
  return `${server.endpoint}/${repository.id.name}/resolve/${repository.commit}/${path}`;
}
