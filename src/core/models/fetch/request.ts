// One HTTP request as fetching needs it: redirects followed by hand, so that an access token never leaves its own server;
// a server that falls silent is given up; and every failure is a sentence.
import { AppError } from "#shared/errors";

export type Server = {
  /** Such as https://huggingface.co, without a slash at the end. */
  readonly endpoint: string;
  readonly token: string | null;
  /** A server that sends nothing for so long is given up. */
  readonly silenceSeconds: number;
  readonly signal?: AbortSignal | undefined;
};

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  /** The body, piece by piece. Throws FETCH_FAILED where it breaks off. */
  chunks(): AsyncGenerator<Uint8Array>;
  text(largestBytes: number): Promise<string>;
};

const LARGEST_REDIRECT_COUNT = 8;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function readEndpoint(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new AppError("BAD_ARGUMENT", `"${text}" is not an address; write one such as https://hub.example.org.`);
  }
  if ((url.protocol !== "https:" && url.protocol !== "http:") || url.username !== "" || url.search !== "") {
    throw new AppError("BAD_ARGUMENT", `"${text}" is not a server's address; write http:// or https:// and its name.`);
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** The innermost reason, which is what tells a person something. */
function reasonOf(error: unknown): string {
  let inner: unknown = error;
  while (inner instanceof Error && inner.cause instanceof Error) {
    inner = inner.cause;
  }
  return inner instanceof Error ? inner.message : String(inner);
}

function statusError(status: number, what: string, server: Server): AppError {
  const where = `${server.endpoint} (${status})`;
  switch (status) {
    case 401:
    case 403: {
      const advice =
        server.token === null
          ? "if it is gated or private, accept its terms on its page and give an access token in $HF_TOKEN"
          : "the access token does not open it; accept its terms on its page, or use another token";
      return new AppError("FETCH_NOT_ALLOWED", `${what} is not there or not open to everyone at ${where}; ${advice}.`, {
        details: { status },
      });
    }
    case 404:
      return new AppError("FETCH_NOT_FOUND", `There is no ${what} at ${where}; check name and revision.`, {
        details: { status },
      });
    case 429:
      return new AppError("FETCH_FAILED", `${where} asks for fewer requests; wait some minutes, then run it again.`, {
        details: { status, isFinal: true },
      });
    default:
      return new AppError("FETCH_FAILED", `${where} did not give ${what}; run it again later.`, {
        details: { status },
      });
  }
}

class Silence {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(seconds: number) {
    this.#milliseconds = 1000 * seconds;
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), this.#milliseconds);
    // An answer that nobody reads to its end must not keep the program alive.
    this.#timer.unref();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function failure(error: unknown, what: string, server: Server, silence: Silence): AppError {
  if (error instanceof AppError) {
    return error;
  }
  if (server.signal?.aborted === true) {
    return new AppError(
      "CANCELLED",
      `Fetching ${what} was cancelled; what has come is kept, and the next time goes on from there.`,
    );
  }
  const reason = silence.signal.aborted ? `it sent nothing for ${server.silenceSeconds} seconds` : reasonOf(error);
  return new AppError("FETCH_FAILED", `Cannot get ${what} from ${server.endpoint}: ${reason}; run it again to go on.`, {
    cause: error,
  });
}

async function answerTo(
  url: string,
  server: Server,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  what: string,
): Promise<Response> {
  let address = new URL(url);
  const own = address.origin;
  for (let hop = 0; hop <= LARGEST_REDIRECT_COUNT; hop += 1) {
    const isOwn = address.origin === own;
    const response = await fetch(address, {
      redirect: "manual",
      signal,
      headers: {
        "accept-encoding": "identity",
        "user-agent": "assay",
        ...headers,
        ...(isOwn && server.token !== null ? { authorization: `Bearer ${server.token}` } : {}),
      },
    });
    const location = response.headers.get("location");
    if (!redirects.has(response.status) || location === null) {
      return response;
    }
    await response.body?.cancel();
    const next = new URL(location, address);
    const isWeaker = address.protocol === "https:" && next.protocol !== "https:";
    if (isWeaker || (next.protocol !== "https:" && next.protocol !== "http:")) {
      throw new AppError(
        "FETCH_NOT_ALLOWED",
        `${server.endpoint} sends on to ${next.protocol}// for ${what}, which is not followed.`,
      );
    }
    address = next;
  }
  throw new AppError("FETCH_FAILED", `${server.endpoint} sends in circles for ${what}; check --endpoint.`, {
    details: { isFinal: true },
  });
}

/** Asks once. Answers other than 200, and 206 and 416 where a range was asked for, are errors. */
export async function request(
  url: string,
  server: Server,
  options: { readonly what: string; readonly headers?: Readonly<Record<string, string>> },
): Promise<Answer> {
  const { what } = options;
  const silence = new Silence(server.silenceSeconds);
  const signals = [silence.signal, ...(server.signal === undefined ? [] : [server.signal])];
  let response: Response;
  try {
    response = await answerTo(url, server, options.headers ?? {}, AbortSignal.any(signals), what);
  } catch (error) {
    silence.end();
    throw failure(error, what, server, silence);
  }
  const asksRange = options.headers?.["range"] !== undefined;
  if (response.status !== 200 && !(asksRange && (response.status === 206 || response.status === 416))) {
    silence.end();
    await response.body?.cancel().catch(() => undefined);
    throw statusError(response.status, what, server);
  }
  if (response.status === 416) {
    silence.end();
    await response.body?.cancel().catch(() => undefined);
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      // as: a fetched body yields bytes.
      for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        silence.heard();
        yield chunk;
        silence.heard();
      }
    } catch (error) {
      throw failure(error, what, server, silence);
    } finally {
      silence.end();
    }
  }
  return {
    status: response.status,
    headers: response.headers,
    chunks,
    text: async (largestBytes) => {
      const parts: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of chunks()) {
        bytes += chunk.byteLength;
        if (bytes > largestBytes) {
          throw new AppError(
            "FETCH_FAILED",
            `${server.endpoint} answers with more than a list of files; check --endpoint.`,
          );
        }
        parts.push(chunk);
      }
      return Buffer.concat(parts).toString("utf8");
    },
  };
}
