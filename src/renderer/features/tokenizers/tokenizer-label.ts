// What a tokenizer is called on screen. One that belongs to a run comes under the run's id, of which people want the name
// first and the time only to tell two apart.
import { assertNever } from "#shared/errors";
import type { TokenizerInfo } from "./store.ts";

const RUN_ID = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)\d\d-(.+)-[0-9a-f]{4}$/u;

export function tokenizerLabel(info: Pick<TokenizerInfo, "name" | "origin">): string {
  const name = info.origin === "run" ? RUN_ID.exec(info.name)?.[6] : undefined;
  return name ?? info.name;
}

/** "of the run of 2026-11-21 05:40" and the like. */
export function tokenizerPlace(info: Pick<TokenizerInfo, "name" | "origin">): string {
  switch (info.origin) {
    case "workspace":
      return "in this workspace";
    case "built-in":
      return "comes with Assay";
    case "run": {
      const [, year, month, day, hour, minute] = RUN_ID.exec(info.name) ?? [];
      return minute === undefined
        ? `of the run ${info.name}`
        : `of the run of ${year}-${month}-${day} ${hour}:${minute}`;
    }
    default:
      return assertNever(info.origin);
  }
}

export function kindLabel(kind: string): string {
  const names: Readonly<Record<string, string>> = {
    "byte-bpe": "byte-level BPE",
    "character-bpe": "BPE of characters",
    wordpiece: "WordPiece",
    "word-level": "whole words",
  };
  return names[kind] ?? kind;
}
