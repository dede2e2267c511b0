import { describe, expect, it } from "vitest";
import { decodeUtf8, firstInvalidUtf8 } from "./utf8.ts";

describe("firstInvalidUtf8", () => {
  it("agrees with the platform's decoder on every two-byte and sampled four-byte sequence", () => {
    const starts = [
      0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
    ];
    const nexts = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    for (const first of starts) {
      for (const second of nexts) {
        for (const third of nexts) {
          for (const fourth of nexts) {
            const bytes = Uint8Array.of(first, second, third, fourth);
            expect(firstInvalidUtf8(bytes) === null, bytes.join(" ")).toBe(decodeUtf8(bytes) !== null);
          }
        }
      }
    }
  });

  it("names the first byte that begins no character", () => {
    expect(firstInvalidUtf8(Buffer.from("naïve 漢字 🧬"))).toBeNull();
    expect(firstInvalidUtf8(Uint8Array.of(0x41, 0xc3))).toBe(1);
    expect(firstInvalidUtf8(Uint8Array.of(0xe6, 0xbc, 0x41))).toBe(0);
  });
});
