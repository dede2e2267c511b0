import { describe, expect, it } from "vitest";
import { parseDuration, readDuration } from "./recipe-duration.ts";

describe("readDuration", () => {
  it("reads a number and Composer's unit", () => {
    expect(readDuration("400ba")).toEqual({ value: 400, unit: "ba" });
    expect(readDuration("0.5ep")).toEqual({ value: 0.5, unit: "ep" });
    expect(readDuration("300e9tok")).toEqual({ value: 300e9, unit: "tok" });
    expect(readDuration("3600sec")).toEqual({ value: 3600, unit: "sec" });
  });

  it("takes only whole steps and tokens", () => {
    expect(readDuration("1.5ba")).toBeNull();
    expect(readDuration("1.5e3tok")).toEqual({ value: 1500, unit: "tok" });
    expect(readDuration("1e30tok")).toBeNull();
  });

  it("refuses what is no duration", () => {
    for (const text of ["400", "400 ba", "ba", "-1ba", "1e-2ep", "400steps", "", "ba400", "1..2ep"]) {
      expect(readDuration(text), text).toBeNull();
    }
  });

  it("says in a sentence how a duration is written", () => {
    expect(() => parseDuration("soon")).toThrow(/"soon" is no duration.*400ba/);
  });
});
