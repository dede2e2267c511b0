// Names of corpora: what a new one may be called, and what files suggest.

export function nameProblem(name: string, taken: ReadonlySet<string>, what = "corpus"): string | null {
  const own = name.trim();
  if (own === "") {
    return `Give the ${what} a name.`;
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u.test(own) || /\.(jsonl|ledger|clusters)$/u.test(own)) {
    return "Up to 64 letters, digits, dots, dashes and underscores; the first is a letter or digit.";
  }
  return taken.has(own) ? `There is a corpus ${own} already.` : null;
}

export function outputOf(name: string): string {
  return `${name.trim()}.jsonl`;
}

/** The last part of a path without its endings. */
export function nameFor(path: string): string {
  const last = path.split(/[\\/]+/u).filter(Boolean);
  return (last.at(-1) ?? "")
    .replace(/(\.(gz|tar|xml|nxml|jsonl|json|csv|tsv|txt|nbib|parquet))+$/iu, "")
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/gu, "-")
    .replace(/^[^a-z0-9]+/u, "")
    .slice(0, 64);
}

export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let at = 2; taken.has(name); at += 1) {
    name = `${wanted}-${at}`;
  }
  return name;
}
