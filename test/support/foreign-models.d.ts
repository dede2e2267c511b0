import type { NativeModelConfig } from "#core/engine/addon";
/** The public model's shape: 32 layers, 20 heads, 2 560 wide, 28 896 tokens. */
export declare const bioMedLm: NativeModelConfig;
/** config.json and a model.safetensors whose header is whole and whose data is a hole. */
export declare function writeHeadersOnly(folder: string, config: NativeModelConfig): Promise<void>;
