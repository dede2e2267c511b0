// assay plan: what a recipe or a model takes before anything is started: parameters, memory by part and by way of
// training, floating-point operations, time, disk, and on a cluster GPU-hours and price.
import { workspacePath } from "#core/paths";
import { findGpu, gpus } from "#core/planner/gpus";
import { type MemoryParts, totalBytes } from "#core/planner/memory";
import type { Cluster, MemoryVariant, Plan } from "#core/planner/plan";
import { planSource } from "#core/planner/plan-source";
import { LIST_PRICE_PER_GB } from "#core/planner/stream-text";
import { badRequest, type CommandCall, type CommandSpec } from "../arguments.ts";
import { faint, formatBytes, formatCount, formatSeconds, say, sayJson, table } from "../output.ts";

function clusterOf(call: CommandCall): Cluster | null {
  const name = call.text("gpu");
  const count = call.number("gpus", { min: 1, max: 1_000_000, integer: true });
  const mfu = call.number("mfu", { min: 1e-6, max: 1 }) ?? null;
  const pricePerHour = call.number("price", { min: 0 }) ?? null;
  if (name === undefined) {
    if (count !== undefined || mfu !== null || pricePerHour !== null) {
      throw badRequest(`--gpus, --mfu and --price go with --gpu; it takes ${gpus.map((gpu) => gpu.name).join(", ")}.`);
    }
    return null;
  }
  return { gpu: findGpu(name), count: count ?? 1, mfu, pricePerHour };
}

const variantTitles: Readonly<Record<MemoryVariant, string>> = {
  fp32: "train fp32",
  amp_bf16: "train amp_bf16",
  lora_bf16: "LoRA on bf16",
  int8_inference: "int8 inference",
};

function partsJson(parts: MemoryParts): Readonly<Record<string, number>> {
  return {
    weights: parts.parameterBytes,
    weight_copies: parts.weightCopyBytes,
    gradients: parts.gradientBytes,
    optimizer: parts.optimizerBytes,
    activations: parts.activationBytes,
    workspace: parts.workspaceBytes,
    total: totalBytes(parts),
  };
}

function planJson(
  plan: Plan & { readonly isModel: boolean },
  cluster: Cluster | null,
): Readonly<Record<string, unknown>> {
  const { forecast, isModel } = plan;
  const { download } = forecast;
  const figures = {
    params: forecast.parameters,
    memory_bytes: plan.memory,
    flops_per_token: forecast.flopsPerToken,
    ...(isModel
      ? {}
      : {
          steps: forecast.steps,
          tokens: forecast.tokensTotal,
          tokens_per_second: forecast.tokensPerSecond,
          seconds: forecast.seconds,
          days: plan.days,
          disk_bytes: forecast.diskBytes,
          ...(plan.gpuHours === null ? {} : { gpu_hours: plan.gpuHours }),
          ...(plan.cost === null ? {} : { cost_usd: plan.cost }),
        }),
  };
  const values = Object.fromEntries(Object.entries(figures).map(([key, figure]) => [key, figure.value]));
  return {
    name: plan.name,
    params_name: plan.publishedName,
    trainable_params: plan.trainable,
    ...values,
    days: isModel ? null : plan.days.value,
    gpu_hours: isModel ? null : (plan.gpuHours?.value ?? null),
    cost_usd: isModel ? null : (plan.cost?.value ?? null),
    // Nothing is fetched for text that is here; null means that the server did not say.
    egress_bytes: isModel ? null : download === null ? 0 : download.value,
    egress_cost_usd: isModel ? null : download === null ? 0 : (plan.egressCost?.value ?? null),
    basis: forecast.basis,
    microbatch: plan.microbatch,
    gpu: cluster === null ? null : { name: cluster.gpu.name, count: cluster.count },
    memory: Object.fromEntries(Object.entries(plan.variants).map(([name, parts]) => [name, partsJson(parts)])),
    how: {
      ...Object.fromEntries(Object.entries(figures).map(([key, figure]) => [key, figure.how])),
      ...(download === null ? {} : { egress_bytes: download.how }),
      ...(plan.egressCost === null ? {} : { egress_cost_usd: plan.egressCost.how }),
    },
  };
}

function sayFigure(title: string, value: string, how: string): void {
  say(`${title.padEnd(14)} ${value}`);
  say(faint(`${" ".repeat(15)}${how}`));
}

function sayPlan(plan: Plan & { readonly isModel: boolean }): void {
  const { forecast, publishedName } = plan;
  const known = publishedName === null ? "" : ` (${publishedName})`;
  const trained =
    plan.trainable === forecast.parameters.value ? "" : `, ${formatCount(plan.trainable)} of them trained`;
  sayFigure("parameters", `${formatCount(forecast.parameters.value)}${known}${trained}`, forecast.parameters.how);
  sayFigure("FLOP a token", `${(forecast.flopsPerToken.value / 1e9).toPrecision(4)} G`, forecast.flopsPerToken.how);
  if (plan.device !== null && !plan.isModel) {
    sayFigure("device", plan.device.device, plan.device.how);
  }
  sayFigure("memory", formatBytes(plan.memory.value), plan.memory.how);
  if (!plan.isModel) {
    sayFigure("steps", formatCount(forecast.steps.value), forecast.steps.how);
    sayFigure("tokens", formatCount(forecast.tokensTotal.value), forecast.tokensTotal.how);
    sayFigure(
      "rate",
      `${formatCount(forecast.tokensPerSecond.value)} tokens/s, ${forecast.basis}`,
      forecast.tokensPerSecond.how,
    );
    const days = plan.days.value;
    sayFigure("time", days < 2 ? formatSeconds(forecast.seconds.value) : `${days.toFixed(2)} days`, plan.days.how);
    if (plan.gpuHours !== null) {
      sayFigure("GPU-hours", formatCount(plan.gpuHours.value), plan.gpuHours.how);
    }
    if (plan.cost !== null) {
      sayFigure("cost", `$${formatCount(plan.cost.value)}`, plan.cost.how);
    }
    if (forecast.download !== null) {
      const { value, how } = forecast.download;
      sayFigure("download", value === null ? "unknown" : formatBytes(value), how);
    }
    if (plan.egressCost !== null) {
      sayFigure("egress", `$${plan.egressCost.value.toFixed(2)}`, plan.egressCost.how);
    }
    sayFigure("disk", formatBytes(forecast.diskBytes.value), forecast.diskBytes.how);
  }
  say("");
  const windows = plan.variantWindows === 1 ? "one window" : `${plan.variantWindows} windows`;
  say(`memory of the engine on a CPU, ${windows} at a time:`);
  const rows = (
    ["parameterBytes", "gradientBytes", "optimizerBytes", "activationBytes", "workspaceBytes"] as const
  ).map((key) => [
    {
      parameterBytes: "weights",
      gradientBytes: "gradients",
      optimizerBytes: "optimizer",
      activationBytes: "activations",
      workspaceBytes: "work space",
    }[key],
    ...Object.values(plan.variants).map((parts) => formatBytes(parts[key])),
  ]);
  say(
    table(
      [
        { title: "" },
        ...Object.keys(plan.variants).map((name) => ({ title: variantTitles[name as MemoryVariant], right: true })),
      ],
      [...rows, ["total", ...Object.values(plan.variants).map((parts) => formatBytes(totalBytes(parts)))]],
    ),
  );
}

export const planCommand: CommandSpec = {
  name: "plan",
  summary: "what a recipe, preset or model takes: parameters, memory, time, disk, cost; starts nothing",
  operands: "RECIPE|PRESET|RUN|MODELDIR",
  minOperands: 1,
  maxOperands: 1,
  options: {
    set: { type: "string", multiple: true, value: "KEY.SUB=VALUE", help: "change a key of the recipe" },
    gpu: { type: "string", value: "NAME", help: `plan for GPUs: ${gpus.map((gpu) => gpu.name).join(", ")}` },
    gpus: { type: "string", value: "N", help: "how many of them (default 1)" },
    mfu: { type: "string", value: "SHARE", help: "share of their peak that is reached, such as 0.4" },
    price: { type: "string", value: "DOLLARS", help: "of one GPU for an hour" },
    "egress-price": {
      type: "string",
      value: "DOLLARS",
      help: `of a GB fetched from an address (default ${LIST_PRICE_PER_GB}, a list price)`,
    },
  },
  run: async (call) => {
    const cluster = clusterOf(call);
    const plan = await planSource({
      source: call.operands[0] ?? "",
      overrides: call.texts("set"),
      workspace: workspacePath(call.workspace),
      cluster,
      egressPricePerGb: call.number("egress-price", { min: 0 }) ?? null,
    });
    if (call.json) {
      sayJson(planJson(plan, cluster));
    } else {
      sayPlan(plan);
    }
  },
};
