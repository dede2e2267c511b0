// A strict streaming XML parser (saxes) behind bounds of our own: a sentence with line and column where the text is not
// well-formed, no expansion of entities but what the file itself declares as short plain text, a limit to nesting and to
// what one tag or text may hold, and the encodings that XML declares.
import { TextDecoder } from "node:util";
import { type SaxesOptions, SaxesParser } from "saxes";
import { AppError } from "#shared/errors";

export type XmlAttributes = Readonly<Record<string, string>>;

export type XmlHandler = {
  readonly open: (name: string, attributes: XmlAttributes) => void;
  readonly close: (name: string) => void;
  readonly text: (text: string) => void;
};

const MAX_DEPTH = 512;
/** Bytes in which nothing begins or ends: one text, tag, comment or doctype may not fill the memory. */
const MAX_PIECE_BYTES = 64 * 1024 * 1024;
const MAX_ENTITY_CHARACTERS = 1024;
const MAX_ENTITIES = 4096;

function placeOf(parser: { readonly line: number; readonly column: number }): string {
  return `line ${parser.line}, column ${parser.column}`;
}

/** Entities that the file declares as plain text. Others stay unknown, and their use is refused: nothing can multiply. */
function declaredEntities(doctype: string): Map<string, string> {
  const entities = new Map<string, string>();
  for (const [, name = "", double, single] of doctype.matchAll(
    /<!ENTITY\s+([\w.:-]+)\s+(?:"([^"]*)"|'([^']*)')\s*>/g,
  )) {
    const raw = double ?? single ?? "";
    const value = raw.replaceAll(
      /&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));/g,
      (whole: string, hex?: string, decimal?: string) => {
        const code = hex === undefined ? Number.parseInt(decimal ?? "", 10) : Number.parseInt(hex, 16);
        return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
      },
    );
    if (value.length <= MAX_ENTITY_CHARACTERS && !/[&<]/.test(value) && entities.size < MAX_ENTITIES) {
      entities.set(name, value);
    }
  }
  return entities;
}

/** The encoding that the first bytes tell; UTF-8 where they tell none. */
function encodingOf(head: Uint8Array): string {
  if (head[0] === 0xfe && head[1] === 0xff) {
    return "utf-16be";
  }
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0x3c && head[1] === 0)) {
    return "utf-16le";
  }
  const declaration = /^(?:\u00EF\u00BB\u00BF)?<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']/.exec(
    Buffer.from(head.subarray(0, 256)).toString("latin1"),
  );
  return declaration?.[1] ?? "utf-8";
}

export class XmlReader {
  readonly #place: string;
  readonly #parser: SaxesParser<SaxesOptions>;
  #decoder: TextDecoder | null = null;
  #depth = 0;
  #quietBytes = 0;
  #bytes = 0;
  #expanded = 0;

  /** `place` names the file in sentences. */
  constructor(place: string, handler: XmlHandler) {
    this.#place = place;
    const parser = new SaxesParser({});
    this.#parser = parser;
    parser.on("error", (error) => {
      // The parser puts the place before its reason.
      const reason = error.message.replace(/^(?:[^:]*:)?\d+:\d+:\s*/, "").replace(/\.$/, "");
      throw this.#broken(reason);
    });
    parser.on("doctype", (doctype) => {
      this.#quietBytes = 0;
      for (const [name, value] of declaredEntities(doctype)) {
        parser.ENTITIES[name] = value;
      }
    });
    parser.on("opentag", (tag) => {
      this.#quietBytes = 0;
      this.#depth += 1;
      if (this.#depth > MAX_DEPTH) {
        throw this.#broken(`elements are nested more than ${MAX_DEPTH} deep`);
      }
      handler.open(tag.name, tag.attributes);
    });
    parser.on("closetag", (tag) => {
      this.#quietBytes = 0;
      this.#depth -= 1;
      handler.close(tag.name);
    });
    const text = (value: string) => {
      this.#quietBytes = 0;
      this.#expanded += value.length;
      // An entity of a thousand characters is called with four: what comes out is bounded by what went in.
      if (this.#expanded > 16 * this.#bytes + MAX_PIECE_BYTES) {
        throw this.#broken("its entities stand for far more text than the file holds");
      }
      handler.text(value);
    };
    parser.on("text", text);
    parser.on("cdata", text);
    parser.on("comment", () => {
      this.#quietBytes = 0;
    });
  }

  #broken(reason: string): AppError {
    return this.refusal(`this is not well-formed XML (${reason}); mend or fetch the file again, or leave it out`);
  }

  /** The sentence for something wrong right here. */
  refusal(reason: string): AppError {
    const { line, column } = this.#parser;
    return new AppError("CORPUS_RECORD_INVALID", `${this.#place}: ${placeOf(this.#parser)}: ${reason}.`, {
      details: { file: this.#place, line, column },
    });
  }

  push(bytes: Uint8Array): void {
    if (this.#decoder === null) {
      const label = encodingOf(bytes);
      try {
        this.#decoder = new TextDecoder(label, { fatal: true });
      } catch {
        throw new AppError(
          "CORPUS_RECORD_INVALID",
          `${this.#place} declares the encoding ${label}, which is not known; convert it to UTF-8.`,
        );
      }
    }
    this.#bytes += bytes.length;
    this.#quietBytes += bytes.length;
    if (this.#quietBytes > MAX_PIECE_BYTES) {
      throw this.#broken(`one text or tag has more than ${MAX_PIECE_BYTES / 1024 / 1024} MiB`);
    }
    this.#parser.write(this.#decode(bytes, true));
  }

  #decode(bytes: Uint8Array, isMore: boolean): string {
    try {
      return this.#decoder?.decode(bytes, { stream: isMore }) ?? "";
    } catch {
      throw new AppError(
        "CORPUS_NOT_UTF8",
        `${this.#place}: after ${placeOf(this.#parser)} there are bytes that are not ${this.#decoder?.encoding ?? "text"}; convert the file, or fetch it again.`,
        { details: { file: this.#place, line: this.#parser.line } },
      );
    }
  }

  end(): void {
    this.#parser.write(this.#decode(new Uint8Array(), false));
    this.#parser.close();
  }
}
