// The masking that a masked language model is evaluated with: the same for the same text at every evaluation and on every
// machine, so that its loss changes with the model alone. Pure.
import type { NativeMasking } from "../engine/addon.ts";

export type MaskedWindow = {
  /** `[CLS] text [SEP]`, masked, padded to the length asked for. */
  readonly tokens: Int32Array;
  /** The token to predict where it was chosen, elsewhere -1. */
  readonly targets: Int32Array;
  /** 0 for text, -1 for padding. */
  readonly segments: Int32Array;
  readonly scored: number;
};

/** Numbers from 0 to below 1 that follow from `key` alone (mulberry32). */
function randomFrom(key: number): () => number {
  let state = key >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Units that are chosen together: single tokens, or words. Special tokens are in none. */
function unitsOf(piece: ArrayLike<number>, masking: NativeMasking, specials: ReadonlySet<number>): readonly number[][] {
  const units: number[][] = [];
  let isOpen = false;
  for (let at = 0; at < piece.length; at += 1) {
    const id = piece[at] ?? 0;
    if (specials.has(id)) {
      isOpen = false;
      continue;
    }
    const last = units.at(-1);
    if (masking.wholeWord && isOpen && masking.wordStarts[id] !== 1 && last !== undefined) {
      last.push(at);
    } else {
      units.push([at]);
    }
    isOpen = true;
  }
  return units;
}

/** `piece` has at most seqLen − 2 tokens; `key` says which window of the text it is. At least one token is scored if any can be. */
export function maskWindow(
  piece: ArrayLike<number>,
  key: number,
  options: { readonly seqLen: number; readonly vocabSize: number; readonly masking: NativeMasking },
): MaskedWindow {
  const { seqLen, vocabSize, masking } = options;
  const specials = new Set(masking.specials);
  const random = randomFrom(Math.imul(key + 1, 0x9e3779b1));
  const tokens = new Int32Array(seqLen).fill(masking.padId);
  const targets = new Int32Array(seqLen).fill(-1);
  const segments = new Int32Array(seqLen).fill(-1);
  tokens[0] = masking.clsId;
  tokens.set(Int32Array.from(piece), 1);
  tokens[piece.length + 1] = masking.sepId;
  segments.fill(0, 0, piece.length + 2);

  const units = [...unitsOf(piece, masking, specials)];
  const total = units.reduce((sum, unit) => sum + unit.length, 0);
  const wanted = Math.max(1, Math.round(total * masking.probability));
  let scored = 0;
  // The first units of a shuffle, so that the share is the same in each window.
  for (let index = 0; index < units.length && scored < wanted; index += 1) {
    const other = index + Math.floor(random() * (units.length - index));
    const unit = units[other] ?? [];
    units[other] = units[index] ?? [];
    units[index] = unit;
    if (scored > 0 && scored + unit.length > wanted) {
      continue; // a word too long for what is left
    }
    for (const at of unit) {
      targets[at + 1] = piece[at] ?? 0;
      const chance = random();
      if (chance < 0.8) {
        tokens[at + 1] = masking.maskId;
      } else if (chance < 0.9) {
        tokens[at + 1] = ordinaryToken(random, vocabSize, specials);
      }
      scored += 1;
    }
  }
  return { tokens, targets, segments, scored };
}

function ordinaryToken(random: () => number, vocabSize: number, specials: ReadonlySet<number>): number {
  for (;;) {
    const id = Math.floor(random() * vocabSize);
    if (!specials.has(id)) {
      return id;
    }
  }
}
