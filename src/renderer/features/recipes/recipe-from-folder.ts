// A new recipe for a folder of articles: a preset's text with only the name and the data replaced, so that its comments
// and everything else stay as the preset has them. Pure text in, text out.
import { isMap, parseDocument } from "yaml";

/** A name that is safe as a file and as `run_name`: lower case, digits, dots and dashes. */
export function nameFromFolder(folder: string): string {
  const last =
    folder
      .split(/[\\/]+/u)
      .filter((part) => part !== "")
      .at(-1) ?? "";
  const name = last
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9.]+/gu, "-")
    .replace(/^[-.]+|[-.]+$/gu, "")
    .slice(0, 48);
  return name === "" ? "my-recipe" : name;
}

/** A name not among `taken`, by counting up. */
export function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) {
    return name;
  }
  for (let count = 2; ; count += 1) {
    if (!taken.has(`${name}-${count}`)) {
      return `${name}-${count}`;
    }
  }
}

export function recipeFromFolder(presetText: string, folder: string, name: string): string {
  const document = parseDocument(presetText);
  document.set("run_name", name);
  const data: unknown = document.get("data");
  if (isMap(data)) {
    data.set("train", folder);
    if (!isMap(data.get("eval"))) {
      // A path the preset held out belongs to the preset's corpus, not to this one.
      data.set("eval", document.createNode({ fraction: 0.05 }, { flow: true }));
    }
  } else {
    document.set("data", document.createNode({ train: folder, eval: { fraction: 0.05 } }));
  }
  return document.toString({ lineWidth: 0 });
}
