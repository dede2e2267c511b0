// What a tokenizer makes of a text, and how one of its tokens came to be.
import { AppError } from "#shared/errors";
import type { Piece } from "#shared/ipc/tokenizers.contract";
import type { NativeTokenizer } from "../engine/addon.ts";
import { pieceText } from "./pieces.ts";

export {
  compareTokenizers,
  type EntityBreaks,
  type TermGroup,
  type TermRow,
  type TokenizerComparison,
} from "./compare.ts";

/** The pieces in order, with byte offsets into the UTF-8 text. No special tokens are recognised and none are added. */
export function inspectText(tokenizer: NativeTokenizer, text: string): readonly Piece[] {
  const { ids, starts, ends } = tokenizer.encode(text);
  return Array.from(ids, (id, index) => ({
    id,
    piece: pieceText(tokenizer.tokenBytes(id)),
    start: starts[index] ?? 0,
    end: ends[index] ?? 0,
  }));
}

export type TokenHistory = {
  readonly id: number;
  readonly piece: string;
  readonly bytes: readonly number[];
  /** The token's own merge first (depth 0), then those of its left and right part, each before its own parts. */
  readonly merges: readonly {
    readonly depth: number;
    readonly left: string;
    readonly right: string;
    readonly rank: number;
  }[];
};

type Merge = { readonly left: number; readonly right: number; readonly rank: number };

const mergesByTokenizer = new WeakMap<NativeTokenizer, ReadonlyMap<number, Merge>>();

function mergesOf(tokenizer: NativeTokenizer): ReadonlyMap<number, Merge> {
  const known = mergesByTokenizer.get(tokenizer);
  if (known !== undefined) {
    return known;
  }
  const merges = new Map<number, Merge>();
  for (const [rank, [left, right]] of (tokenizer.kind === "byte-bpe" ? tokenizer.merges() : []).entries()) {
    const bytes = Buffer.concat([tokenizer.tokenBytes(left), tokenizer.tokenBytes(right)]);
    const id = tokenizer.idOfBytes(bytes);
    // Of two ways to the same token, encoding takes the one of lower rank first.
    if (id !== null && !merges.has(id)) {
      merges.set(id, { left, right, rank });
    }
  }
  mergesByTokenizer.set(tokenizer, merges);
  return merges;
}

export function explainToken(tokenizer: NativeTokenizer, id: number): TokenHistory {
  if (!Number.isInteger(id) || id < 0 || id >= tokenizer.vocabSize) {
    throw new AppError(
      "BAD_ARGUMENT",
      `There is no token ${id}: the ids of this tokenizer are 0 to ${tokenizer.vocabSize - 1}.`,
    );
  }
  const merges = mergesOf(tokenizer);
  const history: { depth: number; left: string; right: string; rank: number }[] = [];
  const visit = (token: number, depth: number) => {
    const merge = merges.get(token);
    if (merge === undefined) {
      return;
    }
    history.push({
      depth,
      left: pieceText(tokenizer.tokenBytes(merge.left)),
      right: pieceText(tokenizer.tokenBytes(merge.right)),
      rank: merge.rank,
    });
    visit(merge.left, depth + 1);
    visit(merge.right, depth + 1);
  };
  visit(id, 0);
  const bytes = tokenizer.tokenBytes(id);
  return { id, piece: pieceText(bytes), bytes: [...bytes], merges: history };
}
