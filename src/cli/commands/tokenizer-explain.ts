// assay tokenizer explain: why a word splits where it does, by the kind of tokenizer.
import { workspacePath } from "#core/paths";
import { explainWord, type WordExplanation } from "#core/tokenizer/explain-word";
import { loadTokenizer } from "#core/tokenizer/load";
import { assertNever } from "#shared/errors";
import { badRequest, type CommandSpec } from "../arguments.ts";
import { formatCount, say, sayJson, table } from "../output.ts";

const shown = (piece: string) => piece.replaceAll(" ", "␣");
type Explanation<Kind extends WordExplanation["kind"]> = Extract<WordExplanation, { kind: Kind }>;

export const tokenizerExplainCommand: CommandSpec = {
  name: "tokenizer explain",
  summary:
    "why a word splits where it does: the merges that made its pieces and what is missing at each border, the longest\n" +
    "pieces that WordPiece found, or the likeliest ways to cut it under a unigram model",
  operands: "WORD",
  minOperands: 1,
  maxOperands: 1,
  options: {
    tokenizer: { type: "string", value: "DIR|FILE|gpt2", help: "which tokenizer" },
    "first-word": { type: "boolean", help: "as the first word of a text, without the space before it" },
  },
  run: async (call) => {
    const source = call.text("tokenizer");
    if (source === undefined) {
      throw badRequest("`assay tokenizer explain` needs --tokenizer DIR|FILE|gpt2.");
    }
    const given = call.operands[0] ?? "";
    const word = call.flag("first-word") || given.startsWith(" ") ? given : ` ${given}`;
    const tokenizer = await loadTokenizer(source, { workspace: workspacePath(call.workspace) });
    const explained = explainWord(tokenizer, word);
    if (explained === null) {
      throw badRequest(
        `"${given.slice(0, 40)}" cannot be explained: it must be one word of at most 256 bytes for ${source}, and that byte-level BPE, WordPiece or unigram (it is ${tokenizer.kind}); see \`assay tokenizer inspect\`.`,
      );
    }
    if (call.json) {
      sayJson(explained);
      return;
    }
    switch (explained.kind) {
      case "merges":
        sayMerges(explained);
        return;
      case "longest-match":
        sayLongestMatch(explained);
        return;
      case "unigram":
        sayUnigram(explained);
        return;
      default:
        assertNever(explained);
    }
  },
};

function sayMerges(explained: Explanation<"merges">): void {
  say(
    table(
      [{ title: "merge", right: true }, { title: "joins" }, { title: "the word then" }],
      explained.steps.map((step) => [
        formatCount(step.rank),
        `${shown(step.left)} + ${shown(step.right)}`,
        step.pieces.map(shown).join("|"),
      ]),
    ),
  );
  if (explained.borders.length === 0) {
    say(`${shown(explained.word)} is one token.`);
  }
  for (const border of explained.borders) {
    const why =
      border.crossing.length === 0
        ? "no token of the vocabulary crosses this border: its training text held too little that joins here"
        : `the vocabulary holds ${border.crossing.map(({ piece }) => shown(piece)).join(", ")}, but the merges above came first`;
    say(`${shown(border.left)} | ${shown(border.right)}: ${why}.`);
  }
}

function sayLongestMatch(explained: Explanation<"longest-match">): void {
  if (explained.normalized !== explained.word.trim()) {
    say(`The model gets it as ${explained.normalized}.`);
  }
  if (explained.steps.length > 0) {
    sayLongestPieces(explained);
  }
  if (explained.stuckAt !== null) {
    say(`No piece of the vocabulary fits at ${explained.stuckAt}, so the whole word is ${explained.pieces.join("")}.`);
  } else if (explained.pieces.length === 1) {
    say(`${explained.normalized} is one token.`);
  }
  if (explained.shortest !== null) {
    say(
      `The vocabulary could cut it into ${explained.shortest.join("|")}; the longest piece came first and prevented it.`,
    );
  }
}

function sayLongestPieces(explained: Explanation<"longest-match">): void {
  say(
    table(
      [
        { title: "longest piece that fits" },
        { title: "id", right: true },
        { title: "left over" },
        { title: "longer ones that do not" },
      ],
      explained.steps.map((step) => [step.piece, String(step.id), step.rest, step.longer.join(", ")]),
    ),
  );
}

function sayUnigram(explained: Explanation<"unigram">): void {
  const best = explained.paths[0]?.score ?? 0;
  say(
    table(
      [
        { title: "log p", right: true },
        { title: "likelier by", right: true },
        { title: "pieces with their log probabilities" },
      ],
      explained.paths.map((path, at) => [
        path.score.toFixed(2),
        at === 0 ? "" : `${timesText(Math.exp(best - path.score))}×`,
        path.pieces
          .map(({ piece, id, score }) => `${piece}${id === null ? " (unknown)" : ""} ${score.toFixed(2)}`)
          .join(" | "),
      ]),
    ),
  );
  if (explained.pieces.length === 1) {
    say(`${explained.normalized} is one token.`);
  } else if (explained.wholeId !== null) {
    say(`The whole word is token ${explained.wholeId}, but less likely than its pieces together.`);
  } else {
    say("The whole word is not in the vocabulary.");
  }
}

function timesText(times: number): string {
  return times >= 1e6 ? "over a million " : times >= 100 ? formatCount(times) : times.toPrecision(2);
}
