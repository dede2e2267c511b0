import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { isHeldOut } from "./split.ts";

const ids = Array.from({ length: 20_000 }, (_, index) => `document-${index}`);

describe("isHeldOut", () => {
  it("holds out about the fraction asked for", () => {
    const count = ids.filter((id) => isHeldOut(id, 0.05)).length;
    expect(count).toBeGreaterThan(900);
    expect(count).toBeLessThan(1100);
  });

  it("holds out a superset under a larger fraction", () => {
    expect(ids.filter((id) => isHeldOut(id, 0.05) && !isHeldOut(id, 0.1))).toEqual([]);
  });

  it("is what docs/formats/recipe.md says, for good", () => {
    const share = Number(BigInt(`0x${createHash("sha256").update("PMID-é").digest("hex").slice(0, 12)}`)) / 2 ** 48;
    expect(isHeldOut("PMID-é", share)).toBe(false);
    expect(isHeldOut("PMID-é", share + 1e-9)).toBe(true);
    expect(ids.slice(0, 60).filter((id) => isHeldOut(id, 0.05))).toMatchInlineSnapshot(`
      [
        "document-24",
        "document-25",
        "document-42",
        "document-53",
      ]
    `);
  });
});
