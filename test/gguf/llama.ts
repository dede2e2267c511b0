// The part of node-llama-cpp that is used here. It is installed outside the repository, so its own types are not at hand.

export type LlamaModel = {
  readonly vocabularyType: string | undefined;
  readonly tokens: { readonly eos: number | null };
  tokenize(text: string, specialTokens?: boolean): number[];
  createContext(options: Readonly<Record<string, unknown>>): Promise<{
    getSequence(): {
      evaluate(tokens: readonly number[], options: Readonly<Record<string, unknown>>): AsyncGenerator<number>;
      clearHistory(): Promise<void>;
    };
    dispose(): Promise<void>;
  }>;
  dispose(): Promise<void>;
};

export type Llama = {
  loadModel(options: Readonly<Record<string, unknown>>): Promise<LlamaModel>;
  dispose(): Promise<void>;
};

/** The prebuilt library on the CPU: nothing is compiled, nothing downloaded. */
export async function openLlama(entry: string): Promise<Llama> {
  // as: the package's own function, of which these types name what is called.
  const peer = (await import(entry)) as { getLlama(options: Readonly<Record<string, unknown>>): Promise<Llama> };
  return peer.getLlama({ gpu: false, build: "never", logLevel: "error" });
}

/** The likeliest tokens after a prompt, at most `count`; fewer where the text ends. Keys and values are kept in fp32. */
export async function continueGreedily(
  model: LlamaModel,
  prompts: readonly (readonly number[])[],
  count: number,
  contextSize: number,
): Promise<readonly (readonly number[])[]> {
  const context = await model.createContext({
    contextSize,
    batchSize: contextSize,
    threads: 2,
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  const sequence = context.getSequence();
  const continuations: number[][] = [];
  for (const prompt of prompts) {
    const tokens: number[] = [];
    for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
      tokens.push(token);
      if (tokens.length === count) {
        break;
      }
    }
    continuations.push(tokens);
    await sequence.clearHistory();
  }
  await context.dispose();
  return continuations;
}
