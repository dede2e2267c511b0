// Names, types and shapes of a model's tensors without its weights, from safetensors (sharded too), pytorch_model.bin or
// a folder that holds either.
import { loadAddon, type NativeTensorHeaders } from "../engine/addon.ts";

export type TensorHeader = NativeTensorHeaders["tensors"][number];

export function readTensorHeaders(source: string): NativeTensorHeaders {
  return loadAddon().readTensorHeaders(source);
}
