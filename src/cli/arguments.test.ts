// How wrong words on the command line are told: one sentence, whatever node's parser says of them.
import { describe, expect, it } from "vitest";
import { type CommandSpec, readCall } from "./arguments.ts";

const spec: CommandSpec = {
  name: "plan",
  summary: "plans",
  operands: "RECIPE",
  minOperands: 1,
  maxOperands: 1,
  options: { gpus: { type: "string", value: "N", help: "how many" } },
  run: async () => {},
};

describe("readCall", () => {
  it("tells a value that begins with a dash in one line", () => {
    expect(() => readCall(spec, ["gpt2", "--gpus", "-1"])).toThrow(
      /^Option '--gpus' argument is ambiguous; see `assay plan --help`\.$/,
    );
  });

  it("tells a missing value and an unknown option in one line", () => {
    expect(() => readCall(spec, ["gpt2", "--gpus"])).toThrow(/^Option '--gpus <value>' argument missing; see [^\n]+$/);
    expect(() => readCall(spec, ["gpt2", "--nope"])).toThrow(/^Unknown option '--nope'; see [^\n]+$/);
  });
});
