import { describe, expect, it } from "vitest";
import { adviseKey, editDistance, nearestWord } from "./nearest-key.ts";
import { allKeyPaths } from "./schema-walk.ts";

describe("editDistance", () => {
  it("counts a swap of neighbours as one edit", () => {
    expect(editDistance("sede", "seed")).toBe(1);
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("", "abc")).toBe(3);
  });
});

describe("nearestWord", () => {
  it("proposes nothing where nothing is near", () => {
    expect(nearestWord("zebra", ["seed", "precision"])).toBeNull();
    expect(nearestWord("presicion", ["seed", "precision"])).toBe("precision");
  });
});

describe("adviseKey", () => {
  const advise = (key: string, level = "") => adviseKey(key, level, allKeyPaths());

  it("finds the nearest key of the same level", () => {
    expect(advise("max_seq_length_")).toEqual({ sentence: "did you mean max_seq_len?", replacement: "max_seq_len" });
    expect(advise("n_layer_s", "model")).toEqual({ sentence: "did you mean model.n_layers?", replacement: "n_layers" });
  });

  it("knows the names that other trainers use", () => {
    expect(advise("learning_rate").sentence).toBe("it is optimizer.lr here");
    expect(advise("learning_rate", "optimizer").replacement).toBe("lr");
    expect(advise("max_steps").sentence).toBe("it is max_duration here (with a unit, such as 400ba)");
    expect(advise("block_size").replacement).toBe("max_seq_len");
    expect(advise("n_embd", "model").replacement).toBe("d_model");
  });

  it("says where a key of another level belongs, and replaces nothing", () => {
    expect(advise("weight_decay")).toEqual({ sentence: "it belongs at optimizer.weight_decay", replacement: null });
    expect(advise("max_seq_len", "model")).toEqual({ sentence: "it belongs at max_seq_len", replacement: null });
  });

  it("says what takes the place of keys that do not exist on purpose", () => {
    expect(advise("output_dir").sentence).toContain("--run DIR");
  });

  it("lists the keys of a level where nothing is near", () => {
    expect(advise("xyzzyplugh", "scheduler").sentence).toBe("the keys here are name, t_warmup, alpha_f");
  });
});
