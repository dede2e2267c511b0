// Questions about the recipe's schema that zod does not answer itself: which key paths there are, and what the schema at
// a path takes in words.
import { z } from "zod";
import { expectations, recipeSchema } from "#shared/domain/recipe";

type Wrapper = { readonly def: { readonly innerType: z.ZodType } };

/** Takes off default, optional and nullable. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable
  ) {
    // as: the three wrappers share this field, but have no common class that says so.
    return unwrap((schema as unknown as Wrapper).def.innerType);
  }
  return schema;
}

/** The schemas that may stand at the next path part. */
function children(schema: z.ZodType, part: PropertyKey): readonly z.ZodType[] {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodObject) {
    const child: unknown = bare.shape[String(part)];
    return child instanceof z.ZodType ? [child] : [];
  }
  if (bare instanceof z.ZodUnion) {
    return bare.options.flatMap((option) => (option instanceof z.ZodType ? children(option, part) : []));
  }
  if (bare instanceof z.ZodArray && typeof part === "number") {
    const element: unknown = bare.element;
    return element instanceof z.ZodType ? [element] : [];
  }
  return [];
}

function wrapped(schema: z.ZodType): readonly z.ZodType[] {
  const bare = unwrap(schema);
  return bare === schema ? [schema] : [schema, (schema as unknown as Wrapper).def.innerType, bare];
}

function expectationOf(schema: z.ZodType): string | undefined {
  for (const each of wrapped(schema)) {
    const found = expectations.get(each)?.expects;
    if (found !== undefined) {
      return found;
    }
  }
  const bare = unwrap(schema);
  return bare instanceof z.ZodObject ? `keys: ${Object.keys(bare.shape).join(", ")}` : undefined;
}

/** What the key at `path` takes, in words; that of the nearest key above where it has none of its own. */
export function expectedAt(path: readonly PropertyKey[]): string | undefined {
  let schemas: readonly z.ZodType[] = [recipeSchema];
  let found: string | undefined;
  for (const part of path) {
    schemas = schemas.flatMap((schema) => children(schema, part));
    found = schemas.map(expectationOf).find((each) => each !== undefined) ?? found;
  }
  return found;
}

function collect(schema: z.ZodType, prefix: string, into: Set<string>): void {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodObject) {
    for (const [key, child] of Object.entries(bare.shape)) {
      into.add(prefix + key);
      if (child instanceof z.ZodType) {
        collect(child, `${prefix}${key}.`, into);
      }
    }
  } else if (bare instanceof z.ZodUnion) {
    for (const option of bare.options) {
      if (option instanceof z.ZodType) {
        collect(option, prefix, into);
      }
    }
  } else if (bare instanceof z.ZodArray && bare.element instanceof z.ZodType) {
    collect(bare.element, `${prefix}*.`, into);
  }
}

let paths: readonly string[] | undefined;

/** Every key path of the format, lists' elements as `*`. */
export function allKeyPaths(): readonly string[] {
  if (paths === undefined) {
    const found = new Set<string>();
    collect(recipeSchema, "", found);
    paths = [...found];
  }
  return paths;
}
