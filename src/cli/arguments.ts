// What a command accepts and how its words are read: node's own parser, with our sentences for what is wrong.
import { parseArgs } from "node:util";
import { AppError } from "#shared/errors";

export type OptionSpec = {
  readonly type: "string" | "boolean";
  readonly multiple?: boolean;
  readonly help: string;
  /** What stands for the value in the usage text, such as `N` or `DIR`. */
  readonly value?: string;
};

export type CommandSpec = {
  /** The words that name it, such as `tokenizer train`. */
  readonly name: string;
  readonly summary: string;
  /** The operands as the usage line shows them, such as `RECIPE`. */
  readonly operands: string;
  readonly minOperands: number;
  readonly maxOperands: number;
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly run: (call: CommandCall) => Promise<void>;
};

export type CommandCall = {
  readonly operands: readonly string[];
  readonly text: (name: string) => string | undefined;
  readonly texts: (name: string) => readonly string[];
  readonly flag: (name: string) => boolean;
  /** The option as a number; not a number, or out of range, is the request's fault. */
  readonly number: (
    name: string,
    range?: { readonly min?: number; readonly max?: number; readonly integer?: boolean },
  ) => number | undefined;
  readonly json: boolean;
  readonly workspace: string | undefined;
};

/** Options every command takes. */
export const commonOptions: Readonly<Record<string, OptionSpec>> = {
  json: { type: "boolean", help: "print one JSON object instead of text, errors too" },
  workspace: { type: "string", value: "DIR", help: "the workspace (default: $ASSAY_HOME, else ~/Assay)" },
  help: { type: "boolean", help: "this text" },
};

export function badRequest(message: string): AppError {
  return new AppError("BAD_ARGUMENT", message);
}

/** Reads a command's words. Throws BAD_ARGUMENT with a sentence that names the word and the way out. */
export function readCall(spec: CommandSpec, words: readonly string[]): CommandCall | "help" {
  const specs = { ...commonOptions, ...spec.options };
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: [...words],
      allowPositionals: true,
      strict: true,
      options: Object.fromEntries(
        Object.entries(specs).map(([name, option]) => [
          name,
          { type: option.type, multiple: option.multiple ?? false },
        ]),
      ),
    });
  } catch (error) {
    // The parser's own message may go on over several lines; the first says what is wrong.
    const reason = error instanceof Error ? error.message.split(/\.(?:\s|$)/)[0] : String(error);
    throw badRequest(`${reason}; see \`assay ${spec.name} --help\`.`);
  }
  const values = parsed.values;
  if (values["help"] === true) {
    return "help";
  }
  const operands = parsed.positionals;
  if (operands.length < spec.minOperands) {
    throw badRequest(`\`assay ${spec.name}\` needs ${spec.operands}; see \`assay ${spec.name} --help\`.`);
  }
  if (operands.length > spec.maxOperands) {
    throw badRequest(
      `\`assay ${spec.name}\` does not take "${operands[spec.maxOperands]}"; see \`assay ${spec.name} --help\`.`,
    );
  }
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    operands,
    text,
    texts: (name) => {
      const value = values[name];
      return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
    },
    flag: (name) => values[name] === true,
    number: (name, range = {}) => {
      const value = text(name);
      if (value === undefined) {
        return undefined;
      }
      const number = Number(value);
      const isWrong =
        value.trim() === "" ||
        !Number.isFinite(number) ||
        (range.integer === true && !Number.isInteger(number)) ||
        (range.min !== undefined && number < range.min) ||
        (range.max !== undefined && number > range.max);
      if (isWrong) {
        const kind = range.integer === true ? "a whole number" : "a number";
        const from = range.min === undefined ? "" : ` from ${range.min}`;
        const to = range.max === undefined ? "" : ` to ${range.max}`;
        throw badRequest(`--${name} takes ${kind}${from}${to}, not "${value}".`);
      }
      return number;
    },
    json: values["json"] === true,
    workspace: text("workspace"),
  };
}

/** The help text of one command. */
export function usageText(spec: CommandSpec): string {
  const rows = Object.entries({ ...spec.options, ...commonOptions }).map(([name, option]) => {
    const left = option.type === "boolean" ? `--${name}` : `--${name} ${option.value ?? "TEXT"}`;
    return [left, `${option.help}${option.multiple === true ? " (may be repeated)" : ""}`] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const head = `usage: assay ${spec.name}${spec.operands === "" ? "" : ` ${spec.operands}`} [options]`;
  return `${head}\n\n${spec.summary}\n\noptions:\n${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n")}\n`;
}
