// Every failure a person may meet has a stable code, one sentence that says what, where and what to do, and where it
// helps a hint. Codes cross processes and the command line's --json; sentences may change, codes may not.

export const errorCodes = [
  "ADDON_NOT_BUILT",
  "BAD_ARGUMENT",
  "BATCH_SHAPE_MISMATCH",
  "BUG",
  "CANCELLED",
  "CHECKPOINT_DAMAGED",
  "CHECKPOINT_MISMATCH",
  "CHECKPOINT_NOT_FOUND",
  "CONTEXT_TOO_LONG",
  "CORPUS_EMPTY",
  "CORPUS_NOT_FOUND",
  "CORPUS_NOT_UTF8",
  "CORPUS_RECORD_INVALID",
  "CUDA_FAILED",
  "CUDA_NOT_AVAILABLE",
  "DISK_FULL",
  "ENGINE_BUSY",
  "ENGINE_DISPOSED",
  "ENGINE_LOST",
  "EXPORT_DIFFERS",
  "FETCH_CHANGED",
  "FETCH_CLOCK_WRONG",
  "FETCH_ENDPOINT_WRONG",
  "FETCH_FAILED",
  "FETCH_HASH_DIFFERS",
  "FETCH_NOT_ALLOWED",
  "FETCH_NOT_FOUND",
  "FETCH_REGION_WRONG",
  "FETCH_UNREACHABLE",
  "FILE_NOT_FOUND",
  "FILE_NOT_READABLE",
  "FILE_NOT_WRITABLE",
  "FORMAT_VERSION_UNKNOWN",
  "GEMM_FAILED",
  "GGUF_DAMAGED",
  "JSON_INVALID",
  "LOSS_NOT_FINITE",
  "MDS_INVALID",
  "MDS_UNSUPPORTED",
  "MODEL_CONFIG_INVALID",
  "NOT_SUPPORTED",
  "ONEDNN_NOT_FOUND",
  "OPTIMIZER_OPTIONS_INVALID",
  "OUT_OF_MEMORY",
  "PICKLE_NOT_ALLOWED",
  "PYTORCH_DAMAGED",
  "RECIPE_INVALID",
  "RECIPE_NOT_FOUND",
  "RUNNER_LOST",
  "RUN_AMBIGUOUS",
  "RUN_LOCKED",
  "RUN_NOT_FOUND",
  "RUN_STATE_WRONG",
  "SAFETENSORS_DAMAGED",
  "SHARD_HASH_MISMATCH",
  "TENSOR_SIZE_MISMATCH",
  "TENSOR_UNKNOWN",
  "TEXT_SHORTER_THAN_CONTEXT",
  "THREADS_INVALID",
  "TOKENIZER_INVALID",
  "TOKENIZER_MODEL_MISMATCH",
  "TOKENIZER_NOT_FOUND",
  "TOKEN_CACHE_DAMAGED",
  "TOKEN_OUT_OF_RANGE",
  "TRAINING_NOT_PREPARED",
  "TRAINING_OPTIONS_INVALID",
  "VOCABULARY_TOO_LARGE",
  "WEIGHTS_NOT_FINITE",
  "WORKSPACE_NOT_WRITABLE",
  "WORKSPACE_TOO_SMALL",
  "ZSTD_NOT_FOUND",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What crosses a process boundary in place of an Error. */
export type ErrorEnvelope = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
};

/** An expected failure. Anything thrown that is not an AppError is a bug and is reported as one. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly hint?: string;
      readonly details?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && (errorCodes as readonly string[]).includes(code);
}

/** Turns anything thrown into an envelope: AppErrors and the engine's coded errors keep their code, the rest is a BUG. */
export function toErrorEnvelope(error: unknown): ErrorEnvelope {
  if (error instanceof AppError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.details === undefined ? {} : { details: error.details }),
    };
  }
  if (error instanceof Error) {
    const code = (error as Error & { code?: unknown }).code;
    if (isErrorCode(code)) {
      return { code, message: error.message };
    }
    return { code: "BUG", message: error.message, details: { stack: error.stack ?? "" } };
  }
  return { code: "BUG", message: String(error) };
}

export function fromErrorEnvelope(envelope: ErrorEnvelope): AppError {
  return new AppError(envelope.code, envelope.message, {
    ...(envelope.hint === undefined ? {} : { hint: envelope.hint }),
    ...(envelope.details === undefined ? {} : { details: envelope.details }),
  });
}

export function assertNever(value: never): never {
  throw new Error(`Unexpected value ${JSON.stringify(value)}`);
}
