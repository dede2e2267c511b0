// `--set key.sub=value`, OmegaConf's dot-lists: each value is read as YAML and put into the parsed recipe, whose comments
// and layout stay.
import { type Document, isMap, isSeq, parseDocument } from "yaml";
import { AppError } from "#shared/errors";

export type Override = { readonly text: string; readonly path: readonly string[] };

/** Keys of which one excludes the other: setting one takes the other away. */
const exclusive: readonly (readonly [string, string])[] = [["tokenizer.path", "tokenizer.train"]];

export function parseOverride(text: string): { readonly path: readonly string[]; readonly value: unknown } {
  const cut = text.indexOf("=");
  const path = (cut < 0 ? text : text.slice(0, cut)).trim().split(".");
  if (cut < 0 || path.some((part) => part === "")) {
    throw new AppError(
      "BAD_ARGUMENT",
      `--set takes key.sub=value, such as optimizer.lr=3e-4 or max_duration=200ba, not "${text}".`,
    );
  }
  const document = parseDocument(text.slice(cut + 1), { prettyErrors: false });
  if (document.errors.length > 0) {
    throw new AppError("BAD_ARGUMENT", `--set ${text}: the value is not YAML (${document.errors[0]?.message ?? ""}).`);
  }
  return { path, value: document.toJS({ maxAliasCount: 10 }) };
}

/** Whether a key path is `above` or lies under it. */
export function isWithin(path: string, above: string): boolean {
  return path === above || path.startsWith(`${above}.`);
}

/** Changes `document`; says which paths it changed. */
export function applyOverrides(document: Document, texts: readonly string[]): readonly Override[] {
  return texts.map((text) => {
    const { path, value } = parseOverride(text);
    // A scalar on the way, such as `eval: file.jsonl` before data.eval.fraction=0.1, gives way to a mapping.
    for (let length = 1; length < path.length; length += 1) {
      const above = path.slice(0, length).map(partOf);
      const node = document.getIn(above, true);
      if (node !== undefined && !isMap(node) && !isSeq(node)) {
        document.setIn(above, document.createNode({}));
      }
    }
    document.setIn(path.map(partOf), document.createNode(value));
    const joined = path.join(".");
    for (const [one, other] of exclusive) {
      for (const [set, gone] of [
        [one, other],
        [other, one],
      ] as const) {
        if (isWithin(joined, set) && document.hasIn(gone.split("."))) {
          document.deleteIn(gone.split("."));
        }
      }
    }
    return { text, path };
  });
}

function partOf(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part;
}
