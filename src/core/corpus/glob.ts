// Globs over paths: * ? [abc] {a,b} within a folder, ** across folders. As a shell's: a leading dot is matched only by a
// dot.

export function isGlob(text: string): boolean {
  return /[*?[\]{}]/.test(text);
}

/** The part of a glob before its first pattern: the folder to walk. Slashes only. */
export function globBase(glob: string): { readonly base: string; readonly pattern: string } {
  const parts = glob.split("/");
  const first = parts.findIndex((part) => isGlob(part));
  const base = parts.slice(0, first).join("/");
  return { base: base === "" && glob.startsWith("/") ? "/" : base, pattern: parts.slice(first).join("/") };
}

function segmentSource(segment: string): string {
  let source = segment.startsWith(".") ? "" : String.raw`(?!\.)`;
  let braces = 0;
  for (let at = 0; at < segment.length; at += 1) {
    const char = segment.charAt(at);
    const closing = char === "[" ? segment.indexOf("]", at + 2) : -1;
    if (char === "*") {
      source += "[^/]*";
    } else if (char === "?") {
      source += "[^/]";
    } else if (closing > 0) {
      const inner = segment
        .slice(at + 1, closing)
        .replace(/^!/, "^")
        .replaceAll("\\", "\\\\");
      source += `[${inner}]`;
      at = closing;
    } else if (char === "{") {
      braces += 1;
      source += "(?:";
    } else if (char === "}" && braces > 0) {
      braces -= 1;
      source += ")";
    } else if (char === "," && braces > 0) {
      source += "|";
    } else {
      source += char.replace(/[.+^$()|[\]{}\\]/, String.raw`\$&`);
    }
  }
  return braces === 0 ? source : segment.replaceAll(/[.*+?^$()|[\]{}\\]/g, String.raw`\$&`);
}

/** A test for paths relative to the glob's base, with slashes. */
export function globMatcher(pattern: string): (relativePath: string) => boolean {
  let source = "";
  const segments = pattern.split("/");
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === "**") {
      source += isLast ? String.raw`(?:(?!\.)[^/]+/)*(?!\.)[^/]+` : String.raw`(?:(?!\.)[^/]+/)*`;
    } else {
      source += segmentSource(segment) + (isLast ? "" : "/");
    }
  }
  const expression = new RegExp(`^${source}$`, "u");
  return (relativePath) => expression.test(relativePath);
}
