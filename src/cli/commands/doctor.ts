// assay doctor: prints the checks; exits with 1 where one that Assay cannot do without has failed.
import process from "node:process";
import { runDoctor } from "#core/doctor/checks";
import { workspacePath } from "#core/paths";
import type { CommandSpec } from "../arguments.ts";
import { faint, say, sayJson } from "../output.ts";

export const doctorCommand: CommandSpec = {
  name: "doctor",
  summary: "what this machine has, what is missing, and the one command that mends it",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  options: {},
  run: async (call) => {
    const checks = runDoctor(workspacePath(call.workspace));
    if (call.json) {
      sayJson({ checks: checks.map(({ name, ok, found, fix }) => ({ name, ok, found, fix })) });
    } else {
      const width = Math.max(...checks.map((each) => each.name.length));
      for (const each of checks) {
        const state = each.ok ? "ok     " : each.required ? "MISSING" : "absent ";
        say(`${state}  ${each.name.padEnd(width)}  ${each.found}`);
        if (each.fix !== "") {
          say(`         ${" ".repeat(width)}  ${faint(`→ ${each.fix}`)}`);
        }
      }
    }
    if (checks.some((each) => each.required && !each.ok)) {
      process.exitCode = 1;
    }
  },
};
