// fp32 as narrower floats, little endian, for the files that models are given away in.
import { AppError } from "#shared/errors";

export type FloatType = "f32" | "f16" | "bf16";

/** The upper half of an fp32, rounded to the nearest, ties to even; NaN stays NaN. */
export function toBf16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) {
    return ((bits >>> 16) | 0x40) & 0xffff;
  }
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** An IEEE half from the bits of an fp32, rounded to the nearest, ties to even; beyond 65504 it is infinite. */
export function toHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) {
    return sign | 0x7e00;
  }
  if (magnitude >= 0x477ff000) {
    return sign | 0x7c00;
  }
  if (magnitude >= 0x38800000) {
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude < 0x33000000) {
    return sign;
  }
  // Subnormal: the significand with its leading one, shifted to units of 2⁻²⁴.
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const kept = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}

const HALF_INFINITY = 0x7c00;

/** The bytes of a tensor in its type, little endian. Throws where a finite value has no place in fp16. */
export function floatBytes(name: string, values: Float32Array, type: FloatType): Uint8Array {
  if (type === "f32") {
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  const convert = type === "f16" ? toHalf : toBf16;
  for (let index = 0; index < bits.length; index += 1) {
    result[index] = convert(bits[index] ?? 0);
  }
  if (type === "f16") {
    const lost = result.findIndex((half, index) => (half & 0x7fff) === HALF_INFINITY && Number.isFinite(values[index]));
    if (lost >= 0) {
      throw new AppError(
        "NOT_SUPPORTED",
        `${name} holds ${values[lost]}, which fp16 cannot (it ends at 65 504); export it as bf16 or f32.`,
      );
    }
  }
  return new Uint8Array(result.buffer);
}
