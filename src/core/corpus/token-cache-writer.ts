// Writes one token cache (docs/formats/token-cache.md) as a stream: tokens and document offsets go to disk as they come,
// so a cache may be larger than memory.
import { type FileHandle, mkdir, open } from "node:fs/promises";
import path from "node:path";
import { asFileError, syncFolder, writeFileDurably } from "../runs/durable-file.ts";

export const TOKEN_CACHE_FORMAT_VERSION = 1;

export type TokenCacheMeta = {
  readonly format_version: number;
  readonly dtype: "u16" | "u32";
  readonly token_count: number;
  readonly document_count: number;
  readonly text_bytes: number;
  readonly vocab_size: number;
  readonly end_of_text_id: number;
  readonly tokenizer_sha256: string;
};

const FLUSH_BYTES = 1 << 20;

/** Collects small pieces and writes them a megabyte at a time. */
class BufferedFile {
  readonly #handle: FileHandle;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async append(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
    if (this.#bytes >= FLUSH_BYTES) {
      await this.flush();
    }
  }

  async flush(): Promise<void> {
    if (this.#bytes > 0) {
      const joined = Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#bytes = 0;
      // writeFile on a handle goes on from where the last write ended, and writes all of it.
      await this.#handle.writeFile(joined);
    }
  }

  async finish(): Promise<void> {
    await this.flush();
    await this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

export class TokenCacheWriter {
  readonly directory: string;
  readonly #vocabSize: number;
  readonly #endOfTextId: number;
  readonly #tokenizerSha256: string;
  readonly #isWide: boolean;
  readonly #tokens: BufferedFile;
  readonly #documents: BufferedFile;
  readonly #ids: BufferedFile;
  tokenCount = 0;
  documentCount = 0;
  textBytes = 0;

  private constructor(
    directory: string,
    facts: { vocabSize: number; endOfTextId: number; tokenizerSha256: string },
    tokens: BufferedFile,
    documents: BufferedFile,
    ids: BufferedFile,
  ) {
    this.directory = directory;
    this.#vocabSize = facts.vocabSize;
    this.#endOfTextId = facts.endOfTextId;
    this.#tokenizerSha256 = facts.tokenizerSha256;
    this.#isWide = facts.vocabSize > 65_536;
    this.#tokens = tokens;
    this.#documents = documents;
    this.#ids = ids;
  }

  /** Makes the folder, which must be new. */
  static async create(
    directory: string,
    facts: { readonly vocabSize: number; readonly endOfTextId: number; readonly tokenizerSha256: string },
  ): Promise<TokenCacheWriter> {
    try {
      await mkdir(directory, { recursive: true });
      const tokens = await open(path.join(directory, "tokens.bin"), "wx");
      const documents = await open(path.join(directory, "documents.idx"), "wx");
      const ids = await open(path.join(directory, "documents.ids"), "wx");
      return new TokenCacheWriter(
        directory,
        facts,
        new BufferedFile(tokens),
        new BufferedFile(documents),
        new BufferedFile(ids),
      );
    } catch (error) {
      throw asFileError(error, `write the token cache ${directory}`);
    }
  }

  /** One document's token ids, without end-of-text, which is added; and its own id, by which it can be traced. */
  async add(ids: Uint32Array, textBytes: number, documentId: string | null = null): Promise<void> {
    const stored = this.#isWide ? new Uint32Array(ids.length + 1) : new Uint16Array(ids.length + 1);
    stored.set(ids);
    stored[ids.length] = this.#endOfTextId;
    const offset = new BigUint64Array([BigInt(this.tokenCount)]);
    try {
      // Typed arrays have the byte order of the machine; Node runs on little-endian ones only.
      await this.#documents.append(new Uint8Array(offset.buffer));
      await this.#ids.append(Buffer.from(`${JSON.stringify(documentId)}\n`));
      await this.#tokens.append(new Uint8Array(stored.buffer));
    } catch (error) {
      throw asFileError(error, `write the token cache ${this.directory}`);
    }
    this.tokenCount += stored.length;
    this.documentCount += 1;
    this.textBytes += textBytes;
  }

  /** Everything on disk and fsynced; the folder may then be renamed. */
  async finish(): Promise<TokenCacheMeta> {
    const meta: TokenCacheMeta = {
      format_version: TOKEN_CACHE_FORMAT_VERSION,
      dtype: this.#isWide ? "u32" : "u16",
      token_count: this.tokenCount,
      document_count: this.documentCount,
      text_bytes: this.textBytes,
      vocab_size: this.#vocabSize,
      end_of_text_id: this.#endOfTextId,
      tokenizer_sha256: this.#tokenizerSha256,
    };
    try {
      await this.#documents.append(new Uint8Array(new BigUint64Array([BigInt(this.tokenCount)]).buffer));
      await this.#tokens.finish();
      await this.#documents.finish();
      await this.#ids.finish();
      await this.close();
      await writeFileDurably(path.join(this.directory, "meta.json"), `${JSON.stringify(meta, null, 1)}\n`);
      await syncFolder(this.directory);
    } catch (error) {
      throw asFileError(error, `write the token cache ${this.directory}`);
    }
    return meta;
  }

  async close(): Promise<void> {
    await this.#tokens.close();
    await this.#documents.close();
    await this.#ids.close();
  }
}
