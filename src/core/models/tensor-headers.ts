// Names, types and shapes of a model's tensors without its weights, from safetensors (sharded too), pytorch_model.bin or
// a folder that holds either.
import { existsSync } from "node:fs";
import path from "node:path";
import { loadAddon, type NativeTensorHeaders } from "../engine/addon.ts";

export type TensorHeader = NativeTensorHeaders["tensors"][number];

export function readTensorHeaders(source: string): NativeTensorHeaders {
  const addon = loadAddon();
  if (typeof addon.readTensorHeaders === "function") {
    return addon.readTensorHeaders(source);
  }
  const inFolder = path.join(source, "model.safetensors");
  const { tensors, metadata } = addon.readSafetensorsHeader(existsSync(inFolder) ? inFolder : source);
  return { format: "safetensors", tensors, metadata };
}
