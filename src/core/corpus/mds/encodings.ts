// The encodings of MDS columns: from a column's bytes to a value and back. Everything MosaicML's Python library writes
// but pickle, which would run what a file says. Images stay the bytes they are. Numbers are little endian.
import { AppError } from "#shared/errors";
import { decodeUtf8 } from "../utf8.ts";

export type MdsArray = {
  readonly dtype: MdsDtype;
  readonly shape: readonly number[];
  /** The values, little endian, one after the other. */
  readonly bytes: Uint8Array;
};
export type MdsValue = string | number | bigint | Uint8Array | MdsArray | { readonly json: unknown };

/** Throws a plain Error with half a sentence; the caller knows file, sample and column. */
export type MdsEncoding = {
  readonly name: string;
  /** Bytes of a value, where all have the same. */
  readonly size: number | null;
  readonly decode: (bytes: Uint8Array) => MdsValue;
  readonly encode: (value: MdsValue) => Uint8Array;
};

const dtypes = {
  uint8: { code: 8, bytes: 1 },
  int8: { code: 9, bytes: 1 },
  uint16: { code: 16, bytes: 2 },
  int16: { code: 17, bytes: 2 },
  float16: { code: 18, bytes: 2 },
  uint32: { code: 32, bytes: 4 },
  int32: { code: 33, bytes: 4 },
  float32: { code: 34, bytes: 4 },
  uint64: { code: 64, bytes: 8 },
  int64: { code: 65, bytes: 8 },
  float64: { code: 66, bytes: 8 },
} as const;
export type MdsDtype = keyof typeof dtypes;
// as: the keys of an object literal.
const dtypeNames = Object.keys(dtypes) as readonly MdsDtype[];

export function dtypeBytes(dtype: MdsDtype): number {
  return dtypes[dtype].bytes;
}

function isDtype(name: string): name is MdsDtype {
  return Object.hasOwn(dtypes, name);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** An IEEE half: the sign, five bits of exponent, ten of fraction. */
function halfToNumber(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) {
    return fraction === 0 ? sign * Infinity : Number.NaN;
  }
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** Rounds to nearest, ties to even. */
function numberToHalf(value: number): number {
  if (Number.isNaN(value)) {
    return 0x7e00;
  }
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === 0) {
    return sign;
  }
  // Below 2^-14 the step stays 2^-24. A fraction that rounds up to 1024 carries into the exponent by itself.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const scaled = roundHalfToEven(size * 2 ** (10 - exponent));
  const bits = scaled < 1024 ? scaled : ((exponent + 14) << 10) + scaled;
  return sign | Math.min(bits, 0x7c00);
}

const numberReaders: Readonly<Record<MdsDtype, (view: DataView) => number | bigint>> = {
  uint8: (view) => view.getUint8(0),
  int8: (view) => view.getInt8(0),
  uint16: (view) => view.getUint16(0, true),
  int16: (view) => view.getInt16(0, true),
  float16: (view) => halfToNumber(view.getUint16(0, true)),
  uint32: (view) => view.getUint32(0, true),
  int32: (view) => view.getInt32(0, true),
  float32: (view) => view.getFloat32(0, true),
  uint64: (view) => view.getBigUint64(0, true),
  int64: (view) => view.getBigInt64(0, true),
  float64: (view) => view.getFloat64(0, true),
};

function writeInteger(dtype: MdsDtype, value: bigint): Uint8Array {
  const { bytes: width } = dtypes[dtype];
  const bits = BigInt(width * 8);
  const isUnsigned = dtype.startsWith("u");
  const low = isUnsigned ? 0n : -(1n << (bits - 1n));
  const high = isUnsigned ? (1n << bits) - 1n : (1n << (bits - 1n)) - 1n;
  if (value < low || value > high) {
    throw new Error(`${value} does not fit into ${dtype}`);
  }
  const whole = Buffer.alloc(8);
  whole.writeBigUInt64LE(BigInt.asUintN(64, value));
  return whole.subarray(0, width);
}

function writeNumber(dtype: MdsDtype, value: MdsValue): Uint8Array {
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new Error(`a value of ${dtype} is a number`);
  }
  if (!dtype.startsWith("float")) {
    if (typeof value === "number" && !Number.isInteger(value)) {
      throw new Error(`${value} is no whole number`);
    }
    return writeInteger(dtype, BigInt(value));
  }
  const bytes = new Uint8Array(dtypes[dtype].bytes);
  const view = viewOf(bytes);
  if (dtype === "float16") {
    view.setUint16(0, numberToHalf(Number(value)), true);
  } else if (dtype === "float32") {
    view.setFloat32(0, Number(value), true);
  } else {
    view.setFloat64(0, Number(value), true);
  }
  return bytes;
}

function scalar(name: string, dtype: MdsDtype): MdsEncoding {
  const { bytes: size } = dtypes[dtype];
  return {
    name,
    size,
    decode: (bytes) => {
      if (bytes.length !== size) {
        throw new Error(`it has ${bytes.length} bytes, and ${name} has ${size}`);
      }
      return numberReaders[dtype](viewOf(bytes));
    },
    encode: (value) => writeNumber(dtype, value),
  };
}

function utf8(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === null) {
    throw new Error("it is not UTF-8");
  }
  return text;
}

/** Text of a kind that `isValid` knows; the digits are kept, so nothing is lost to rounding. */
function textual(name: string, isValid: (text: string) => boolean): MdsEncoding {
  return {
    name,
    size: null,
    decode: (bytes) => {
      const text = utf8(bytes);
      if (!isValid(text)) {
        throw new Error(`${JSON.stringify(text.slice(0, 40))} is no ${name}`);
      }
      return text;
    },
    encode: (value) => {
      if (typeof value !== "string" || !isValid(value)) {
        throw new Error(`the value is no ${name}`);
      }
      return Buffer.from(value, "utf8");
    },
  };
}

function asBytes(name: string): MdsEncoding {
  return {
    name,
    size: null,
    decode: (bytes) => bytes,
    encode: (value) => {
      if (!(value instanceof Uint8Array)) {
        throw new Error(`a value of ${name} is bytes`);
      }
      return value;
    },
  };
}

const json: MdsEncoding = {
  name: "json",
  size: null,
  decode: (bytes) => {
    const text = utf8(bytes);
    try {
      return { json: JSON.parse(text) as unknown };
    } catch {
      throw new Error("it is not JSON");
    }
  },
  encode: (value) => {
    if (typeof value !== "object" || !("json" in value)) {
      throw new Error("a value of json is {json: …}");
    }
    return Buffer.from(JSON.stringify(value.json), "utf8");
  },
};

function product(shape: readonly number[]): number {
  return shape.reduce((all, side) => all * side, 1);
}

function readShape(bytes: Uint8Array): { shape: readonly number[]; used: number } {
  const first = bytes[0];
  if (first === undefined) {
    throw new Error("it ends before its shape");
  }
  const dimensions = first >> 2;
  const width = 2 ** (first & 3);
  const used = 1 + dimensions * width;
  if (bytes.length < used) {
    throw new Error("it ends within its shape");
  }
  const view = viewOf(bytes);
  const shape = Array.from({ length: dimensions }, (_, index) => {
    const at = 1 + index * width;
    return width === 1
      ? view.getUint8(at)
      : width === 2
        ? view.getUint16(at, true)
        : width === 4
          ? view.getUint32(at, true)
          : Number(view.getBigUint64(at, true));
  });
  return { shape, used };
}

function writeShape(shape: readonly number[]): Uint8Array {
  if (shape.length === 0 || shape.length > 63 || shape.some((side) => !Number.isInteger(side) || side < 1)) {
    throw new Error(`an array has 1 to 63 dimensions of at least 1, not (${shape.join(", ")})`);
  }
  const largest = Math.max(...shape);
  const log = largest < 2 ** 8 ? 0 : largest < 2 ** 16 ? 1 : largest < 2 ** 32 ? 2 : 3;
  const width = 2 ** log;
  const out = Buffer.alloc(1 + shape.length * width);
  out.writeUInt8((shape.length << 2) | log, 0);
  for (const [index, side] of shape.entries()) {
    if (width === 8) {
      out.writeBigUInt64LE(BigInt(side), 1 + index * 8);
    } else {
      out.writeUIntLE(side, 1 + index * width, width);
    }
  }
  return out;
}

export type ArrayType = { readonly dtype: MdsDtype | null; readonly shape: readonly number[] | null };

/** Of "ndarray", "ndarray:uint16" and "ndarray:uint16:2048,4"; null where it is none of them. */
export function arrayType(encoding: string): ArrayType | null {
  const [name, dtype, sides, ...rest] = encoding.split(":");
  if (name !== "ndarray" || rest.length > 0 || (dtype !== undefined && !isDtype(dtype))) {
    return null;
  }
  const shape = sides === undefined ? null : sides.split(",").map((side) => (/^[1-9]\d{0,14}$/.test(side) ? +side : 0));
  if (shape !== null && (shape.includes(0) || product(shape) > 2 ** 32)) {
    return null;
  }
  return { dtype: dtype ?? null, shape };
}

/** Type, shape and where the values begin: what a reader of many needs without a copy. */
export function readArray(type: ArrayType, bytes: Uint8Array): MdsArray {
  let at = 0;
  let { dtype, shape } = type;
  if (dtype === null) {
    const code = bytes[at];
    at += 1;
    dtype = dtypeNames.find((each) => dtypes[each].code === code) ?? null;
    if (dtype === null) {
      throw new Error(`it names the type ${code}, which is none`);
    }
  }
  if (shape === null) {
    const read = readShape(bytes.subarray(at));
    shape = read.shape;
    at += read.used;
  }
  const needed = product(shape) * dtypes[dtype].bytes;
  if (bytes.length - at !== needed) {
    throw new Error(`it has ${bytes.length - at} bytes of values, and ${dtype} (${shape.join(", ")}) has ${needed}`);
  }
  return { dtype, shape, bytes: bytes.subarray(at) };
}

function array(name: string, type: ArrayType): MdsEncoding {
  const { dtype, shape } = type;
  return {
    name,
    size: dtype === null || shape === null ? null : product(shape) * dtypes[dtype].bytes,
    decode: (bytes) => readArray(type, bytes),
    encode: (value) => {
      if (typeof value !== "object" || !("dtype" in value)) {
        throw new Error("a value of ndarray has dtype, shape and bytes");
      }
      if ((dtype !== null && value.dtype !== dtype) || (shape !== null && value.shape.join() !== shape.join())) {
        throw new Error(`${value.dtype} (${value.shape.join(", ")}) is not what ${name} says`);
      }
      const needed = product(value.shape) * dtypes[value.dtype].bytes;
      if (value.bytes.length !== needed) {
        throw new Error(`${value.bytes.length} bytes are not the ${needed} of its shape`);
      }
      const header = [
        ...(dtype === null ? [Uint8Array.of(dtypes[value.dtype].code)] : []),
        ...(shape === null ? [writeShape(value.shape)] : []),
      ];
      return header.length === 0 ? value.bytes : Buffer.concat([...header, value.bytes]);
    },
  };
}

const decimalPattern = /^\s*[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|s?nan\d*)\s*$/i;

const plain: readonly MdsEncoding[] = [
  asBytes("bytes"),
  {
    name: "str",
    size: null,
    decode: utf8,
    encode: (value) => {
      if (typeof value !== "string") {
        throw new Error("a value of str is text");
      }
      return Buffer.from(value, "utf8");
    },
  },
  scalar("int", "int64"),
  ...dtypeNames.map((name) => scalar(name, name)),
  textual("str_int", (text) => /^\s*[+-]?\d+\s*$/.test(text)),
  textual("str_float", (text) => decimalPattern.test(text)),
  textual("str_decimal", (text) => decimalPattern.test(text)),
  asBytes("pil"),
  asBytes("jpeg"),
  asBytes("png"),
  // Lists of images, of later versions of the library.
  asBytes("jpeg_array"),
  asBytes("jpegarray"),
  asBytes("list[pil]"),
  asBytes("list[jpeg]"),
  asBytes("list[png]"),
  json,
];
const byName = new Map(plain.map((encoding) => [encoding.name, encoding]));

/** `where` names the shard and the column in the sentence of a refusal. */
export function mdsEncoding(name: string, where: string): MdsEncoding {
  const base = name.split(":", 1)[0] ?? "";
  if (base === "pkl") {
    throw new AppError(
      "MDS_UNSUPPORTED",
      `${where} is pickled (pkl), and reading a pickle runs whatever the file says; write it as json, bytes or ndarray.`,
    );
  }
  const type = arrayType(name);
  const found = type === null ? byName.get(/^jpeg:\d{1,3}$/.test(name) ? "jpeg" : name) : array(name, type);
  if (found === undefined) {
    throw new AppError(
      "MDS_UNSUPPORTED",
      `${where} has the encoding ${JSON.stringify(name)}, which this program does not know; it knows ${[...byName.keys()].join(", ")} and ndarray[:dtype[:shape]].`,
    );
  }
  return found;
}
