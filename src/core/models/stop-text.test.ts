import { describe, expect, it } from "vitest";
import { StopText } from "./stop-text.ts";

/** What is shown in all when a text comes in these pieces. */
function shown(pieces: readonly string[], ...stops: readonly string[]): { text: string; isEnded: boolean } {
  const stop = new StopText(stops);
  const parts = pieces.map((piece) => stop.push(piece));
  return { text: parts.join("") + stop.end(), isEnded: stop.isEnded };
}

describe("stop strings", () => {
  it("end the text before them, however it is cut into pieces", () => {
    const text = "Results: none.\n\nQuestion: what?";
    for (let size = 1; size <= text.length; size += 1) {
      const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      expect(shown(pieces, "\n\nQuestion:")).toEqual({ text: "Results: none.", isEnded: true });
    }
  });

  it("take the one that comes first", () => {
    expect(shown(["a, b; c. d"], ".", ";").text).toBe("a, b");
  });

  it("hold back only what may still become one", () => {
    const stop = new StopText(["###"]);
    expect(stop.push("one #")).toBe("one ");
    expect(stop.push("#")).toBe("");
    expect(stop.push(" two")).toBe("## two");
    expect(stop.push("##")).toBe("");
    expect(stop.end()).toBe("##");
  });

  it("find a beginning within a false beginning", () => {
    expect(shown(["aa", "a", "ab", "c"], "aab").text).toBe("aa");
    expect(shown(["a", "a", "a", "b"], "aab").text).toBe("a");
  });

  it("change nothing where there are none, or only empty ones", () => {
    expect(shown(["a", "b"])).toEqual({ text: "ab", isEnded: false });
    expect(shown(["a", "b"], "")).toEqual({ text: "ab", isEnded: false });
  });
});
